using System.Collections.Immutable;
using System.Globalization;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Http;

/// <summary>Reads the parameters of one request. Whatever is unknown or has no valid value is a fault of the request, never ignored.</summary>
/// <remarks>Faults are gathered, so that the caller hears of all of them at once through <see cref="ThrowIfWrong"/>. Not thread-safe.</remarks>
internal sealed class QueryParameters
{
    // What the read model calls its fields, and what /v1 calls them.
    private static readonly Dictionary<string, string> ParameterOfField = new(StringComparer.Ordinal)
    {
        [ReadFields.ClusterNames] = "cluster",
        [ReadFields.ClusterLabels] = "clusterSelector",
        [ReadFields.Kind] = "kind",
        [ReadFields.Namespaces] = "namespace",
        [ReadFields.Names] = "name",
        [ReadFields.Text] = "text",
        [ReadFields.Labels] = "labelSelector",
        [ReadFields.Fields] = "fieldSelector",
        [ReadFields.Readiness] = "readiness",
        [ReadFields.Owner] = "owner",
        [ReadFields.GroupBy] = "by",
        [ReadFields.BookmarkEvery] = "bookmarkEvery",
    };

    private static readonly ReadinessState[] NotReady =
        [ReadinessState.NotReady, ReadinessState.Progressing, ReadinessState.Failed, ReadinessState.Unknown];

    private static readonly ReadinessState[] Ready = [ReadinessState.Ready, ReadinessState.Completed];

    private readonly Dictionary<string, StringValues> _unread;
    private readonly List<ReadFault> _faults = [];

    public QueryParameters(IQueryCollection query)
    {
        _unread = query.ToDictionary(p => p.Key, p => p.Value, StringComparer.Ordinal);
    }

    /// <summary>The name in <c>/v1</c> of a field of the read model.</summary>
    public static string NameOf(string field) => ParameterOfField.GetValueOrDefault(field, field);

    public string? Text(string name)
    {
        if (!_unread.Remove(name, out StringValues values) || values.Count == 0)
        {
            return null;
        }

        if (values.Count > 1)
        {
            Fault(name, "must be given once.");
        }

        return values[0] is { Length: > 0 } text ? text : null;
    }

    /// <summary>A list: the parameter several times, or once with commas.</summary>
    public ImmutableArray<string> List(string name) =>
        _unread.Remove(name, out StringValues values)
            ? [.. values.SelectMany(v => (v ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))]
            : [];

    public int Number(string name, int otherwise)
    {
        if (Text(name) is not { } text)
        {
            return otherwise;
        }

        if (int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number))
        {
            return number;
        }

        Fault(name, $"'{Shorten(text)}' is not a whole number from -2147483648 to 2147483647.");
        return otherwise;
    }

    public bool? Flag(string name)
    {
        switch (Text(name))
        {
            case null:
                return null;
            case "true" or "1":
                return true;
            case "false" or "0":
                return false;
            case { } text:
                Fault(name, $"'{Shorten(text)}' is neither true nor false.");
                return null;
        }
    }

    /// <summary>A span such as <c>500ms</c>, <c>5s</c>, <c>1m</c>, or a number of seconds.</summary>
    public TimeSpan Span(string name, TimeSpan otherwise)
    {
        if (Text(name) is not { } text)
        {
            return otherwise;
        }

        (string digits, double unit) = text switch
        {
            [.., 'm', 's'] => (text[..^2], 0.001),
            [.., 's'] => (text[..^1], 1.0),
            [.., 'm'] => (text[..^1], 60.0),
            _ => (text, 1.0),
        };
        if (double.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double amount) && amount * unit < 86_400)
        {
            return TimeSpan.FromSeconds(amount * unit);
        }

        Fault(name, $"'{Shorten(text)}' is not a time; write it as 500ms, 5s or 1m.");
        return otherwise;
    }

    /// <summary>One of the values of an enumeration, as our JSON writes them.</summary>
    public T Choice<T>(string name, T otherwise)
        where T : struct, Enum =>
        Text(name) is { } text ? Parse(name, text, otherwise) : otherwise;

    /// <summary>A list of such values.</summary>
    /// <param name="name">The parameter.</param>
    /// <param name="nobody">A value of the enumeration that means nothing and is not for requests; null for none.</param>
    public ImmutableArray<T> Choices<T>(string name, T? nobody = null)
        where T : struct, Enum =>
        [.. List(name).Select(text => Parse(name, text, default, nobody))];

    public ClusterSelection Clusters() => new() { Names = List("cluster"), LabelSelector = Text("clusterSelector") };

    /// <summary>Everything that says which objects are meant.</summary>
    public ObjectQuery Objects(string kind)
    {
        ImmutableArray<ReadinessState> readiness = Choices<ReadinessState>("readiness");
        if (Flag("ready") is { } ready)
        {
            if (!readiness.IsEmpty)
            {
                Fault("ready", "cannot be given together with readiness; readiness names the exact states.");
            }

            readiness = [.. ready ? Ready : NotReady];
        }

        return new ObjectQuery
        {
            Kind = kind,
            Namespaces = List("namespace"),
            Names = List("name"),
            Text = Text("text"),
            LabelSelector = Text("labelSelector"),
            FieldSelector = Text("fieldSelector"),
            Readiness = readiness,
            Owner = Owner(),
        };
    }

    /// <summary>Ends the reading: throws where a parameter was wrong, or was there and nobody knows it.</summary>
    /// <exception cref="InvalidQueryException">Holds every fault.</exception>
    public void ThrowIfWrong()
    {
        foreach (string name in _unread.Keys)
        {
            Fault(Shorten(name), "is not a parameter of this request.");
        }

        if (_faults.Count > 0)
        {
            throw new InvalidQueryException([.. _faults]);
        }
    }

    private OwnerQuery? Owner()
    {
        bool hasDepth = _unread.ContainsKey("ownerDepth");
        int depth = Number("ownerDepth", 3);
        if (Text("owner") is not { } text)
        {
            if (hasDepth)
            {
                Fault("ownerDepth", "says how far the owner may be; give owner too.");
            }

            return null;
        }

        const string uidPrefix = "uid:";
        if (text.StartsWith(uidPrefix, StringComparison.Ordinal))
        {
            return new OwnerQuery { Uid = text[uidPrefix.Length..], Depth = depth };
        }

        // group/version/name is a kind too, so the name is what follows the last slash.
        int slash = text.LastIndexOf('/');
        if (slash > 0 && slash < text.Length - 1)
        {
            return new OwnerQuery { Kind = text[..slash], Name = text[(slash + 1)..], Depth = depth };
        }

        Fault("owner", $"'{Shorten(text)}' must be KIND/NAME, such as deployment/web, or uid:UID.");
        return null;
    }

    private T Parse<T>(string name, string text, T otherwise, T? nobody = null)
        where T : struct, Enum
    {
        T[] values = [.. Enum.GetValues<T>().Where(v => !v.Equals(nobody))];
        foreach (T value in values)
        {
            string known = HttpMapping.Text(value);
            if (string.Equals(known, text, StringComparison.OrdinalIgnoreCase)
                || string.Equals(known.Replace("_", "", StringComparison.Ordinal), text, StringComparison.OrdinalIgnoreCase))
            {
                return value;
            }
        }

        Fault(name, $"'{Shorten(text)}' must be one of {string.Join(", ", values.Select(HttpMapping.Text))}.");
        return otherwise;
    }

    private void Fault(string name, string message) => _faults.Add(new ReadFault(name, message));

    // What a client sent comes back to it, but not without end.
    private static string Shorten(string text) => text.Length <= 64 ? text : $"{text.AsSpan(0, 61)}...";
}
