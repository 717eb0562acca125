using System.Globalization;
using Microsoft.AspNetCore.Http;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>The query parameters of a list, watch or deletecollection, checked.</summary>
internal sealed record ListQuery
{
    public required LabelSelector Labels { get; init; }

    public required FieldSelector Fields { get; init; }

    /// <summary>Items per page; 0 for all.</summary>
    public long Limit { get; init; }

    public string Continue { get; init; } = "";

    /// <summary>As given; empty when it was not.</summary>
    public string ResourceVersion { get; init; } = "";

    /// <summary>Parsed <see cref="ResourceVersion"/>; 0 when empty or "0".</summary>
    public long Revision { get; init; }

    public string Match { get; init; } = "";

    public bool? SendInitialEvents { get; init; }

    public bool AllowBookmarks { get; init; }

    public TimeSpan? Timeout { get; init; }

    /// <summary>Reads and checks the parameters, in the order in which the real server does.</summary>
    /// <exception cref="StatusException">400, 422 or 500.</exception>
    public static ListQuery Parse(HttpRequest request, RequestTarget target, ApiResource resource, bool watchListEnabled)
    {
        string Get(string key) => request.Query[key].ToString();
        bool? Flag(string key) => request.Query.ContainsKey(key) ? IsTrue(Get(key)) : null;

        long limit = Integer(Get("limit"));
        long timeout = Integer(Get("timeoutSeconds"));
        LabelSelector labels = LabelSelector.Parse(Get("labelSelector"));
        FieldSelector fields = FieldSelector.Parse(Get("fieldSelector"), resource);
        var query = new ListQuery
        {
            Labels = labels,
            Fields = fields,
            Limit = Math.Max(0, limit),
            Continue = Get("continue"),
            ResourceVersion = Get("resourceVersion"),
            Match = Get("resourceVersionMatch"),
            SendInitialEvents = Flag("sendInitialEvents"),
            AllowBookmarks = Flag("allowWatchBookmarks") ?? false,
            Timeout = timeout > 0 ? TimeSpan.FromSeconds(timeout) : null,
        };
        List<FieldCause> causes = target.IsWatch ? query.WatchFaults(watchListEnabled) : query.ListFaults();
        if (causes.Count > 0)
        {
            throw Refusal.InvalidOptions("ListOptions", causes);
        }

        return query with { Revision = ParseRevision(query.ResourceVersion) };
    }

    /// <summary>Kubernetes reads every value but false and 0 as true, also an empty one.</summary>
    public static bool IsTrue(string value) => value.ToLowerInvariant() is not ("false" or "0");

    /// <exception cref="StatusException">500 when it is no number.</exception>
    public static long ParseRevision(string text)
    {
        if (text.Length == 0)
        {
            return 0;
        }

        return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long revision) ? revision : throw Refusal.BadRevision(text);
    }

    private static long Integer(string text)
    {
        if (text.Length == 0)
        {
            return 0;
        }

        return long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value)
            ? value
            : throw Refusal.BadRequest($"strconv.ParseInt: parsing \"{text}\": invalid syntax");
    }

    private List<FieldCause> ListFaults()
    {
        var causes = new List<FieldCause>();
        const string Field = "resourceVersionMatch";
        if (Match.Length > 0)
        {
            if (ResourceVersion.Length == 0)
            {
                causes.Add(FieldCause.Forbidden(Field, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
            }

            if (Continue.Length > 0)
            {
                causes.Add(FieldCause.Forbidden(Field, "resourceVersionMatch is forbidden when continue is provided"));
            }

            if (Match is not ("Exact" or "NotOlderThan"))
            {
                causes.Add(FieldCause.Unsupported(Field, $"\"{Match}\"", "Exact", "NotOlderThan", ""));
            }

            if (Match == "Exact" && ResourceVersion == "0")
            {
                causes.Add(FieldCause.Forbidden(Field, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
            }
        }

        if (SendInitialEvents is not null)
        {
            causes.Add(FieldCause.Forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }

        return causes;
    }

    private List<FieldCause> WatchFaults(bool watchListEnabled)
    {
        var causes = new List<FieldCause>();
        const string Field = "resourceVersionMatch";
        if (SendInitialEvents is not null)
        {
            if (!watchListEnabled)
            {
                causes.Add(FieldCause.Forbidden("sendInitialEvents", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"));
                return causes;
            }

            if (Match != "NotOlderThan")
            {
                causes.Add(FieldCause.Forbidden(Field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
            }
        }
        else if (Match.Length > 0)
        {
            causes.Add(FieldCause.Forbidden(Field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
        }

        if (Match.Length > 0)
        {
            if (Match != "NotOlderThan" && SendInitialEvents is not null)
            {
                causes.Add(FieldCause.Unsupported(Field, $"\"{Match}\"", "NotOlderThan"));
            }

            if (Continue.Length > 0)
            {
                causes.Add(FieldCause.Forbidden(Field, "resourceVersionMatch is forbidden when continue is provided"));
            }
        }

        return causes;
    }
}
