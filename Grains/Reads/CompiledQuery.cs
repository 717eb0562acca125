using System.Buffers.Text;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using MultiCluster.Clusters;
using MultiCluster.Grains.Mirror;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Json;
using MultiCluster.Kubernetes.Querying;
using MultiCluster.Kubernetes.Selectors;
using MultiCluster.Reads;
using ReadinessState = MultiCluster.Reads.ReadinessState;

namespace MultiCluster.Grains.Reads;

/// <summary>An <see cref="ObjectQuery"/> made ready for the rows of one kind: what columns can decide apart from what needs the JSON.</summary>
/// <remarks>Immutable and thread-safe. The owner is no part of it: it takes other kinds to decide (see <see cref="OwnerScope"/>).</remarks>
internal sealed class CompiledQuery
{
    private readonly FrozenSet<string> _names;
    private readonly ImmutableArray<NameGlob> _globs;
    private readonly FrozenSet<string> _namespaces;
    private readonly LabelSelector _labels;
    private readonly string? _text;
    private readonly uint _readiness;
    private readonly ImmutableArray<(RowColumn Column, FieldCondition Condition)> _columns;
    private readonly FieldExpression _json;

    private CompiledQuery(
        ObjectQuery query, ResourceType type, ImmutableArray<NameGlob> names, LabelSelector labels, FieldExpression fields)
    {
        Type = type;
        _namespaces = query.Namespaces.ToFrozenSet(StringComparer.Ordinal);
        // The order in which lists go: "a-b/" before "a/".
        Namespaces = [.. _namespaces.Order(Comparer<string>.Create(static (a, b) => string.CompareOrdinal(a + "/", b + "/")))];
        _names = names.Where(n => n.IsLiteral).Select(n => n.Pattern).ToFrozenSet(StringComparer.Ordinal);
        _globs = [.. names.Where(n => !n.IsLiteral)];
        _labels = labels;
        _text = string.IsNullOrWhiteSpace(query.Text) ? null : query.Text.Trim();
        foreach (ReadinessState state in query.Readiness)
        {
            _readiness |= 1u << (int)state;
        }

        List<(RowColumn, FieldCondition)> columns = [];
        List<FieldCondition> rest = [];
        foreach (FieldCondition condition in fields.Conditions)
        {
            if (RowColumn.For(condition, type) is { } column)
            {
                columns.Add((column, condition));
            }
            else
            {
                rest.Add(condition);
            }
        }

        _columns = [.. columns];
        _json = rest.Count == 0 ? FieldExpression.Everything : new FieldExpression([.. rest]);
        Term = BestTerm(columns);
        ServerFields = FieldsForServer(columns);
    }

    /// <summary>The kind whose rows it fits.</summary>
    public ResourceType Type { get; }

    /// <summary>Namespaces in list order; empty for all.</summary>
    public ImmutableArray<string> Namespaces { get; }

    /// <summary>The plain names, when there are no patterns beside them; empty otherwise.</summary>
    public IReadOnlyCollection<string> ExactNames => _globs.IsEmpty ? _names : [];

    /// <summary>A term that every match has, the rarest we know of; null where there is none.</summary>
    public IndexTerm? Term { get; }

    /// <summary>Field selector that any server of the kind understands and that holds for every match; null where there is none.</summary>
    public string? ServerFields { get; }

    /// <summary>Whether rows alone cannot decide.</summary>
    public bool NeedsJson => !_json.IsEmpty;

    /// <summary>Whether everything matches.</summary>
    public bool IsEverything =>
        _namespaces.Count == 0 && _names.Count == 0 && _globs.IsEmpty && _labels.IsEmpty && _text is null && _readiness == 0
        && _columns.IsEmpty && _json.IsEmpty;

    /// <summary>Makes a query ready; returns null and a failure where it cannot be evaluated.</summary>
    public static CompiledQuery? Compile(ObjectQuery query, ResourceType type, out ReadFailure? failure)
    {
        failure = null;
        if (!LabelSelector.TryParse(query.LabelSelector, out LabelSelector? labels, out string? labelError))
        {
            failure = ReadFailure.Invalid("query.label_selector", labelError);
            return null;
        }

        if (!FieldExpression.TryParse(query.FieldSelector, out FieldExpression? fields, out FieldSyntaxError? fieldError))
        {
            failure = ReadFailure.Invalid("query.field_selector", fieldError.Message);
            return null;
        }

        ImmutableArray<NameGlob>.Builder names = ImmutableArray.CreateBuilder<NameGlob>();
        foreach (string name in query.Names)
        {
            if (!NameGlob.TryParse(name, out NameGlob? glob, out string? error))
            {
                failure = ReadFailure.Invalid("query.names", error);
                return null;
            }

            names.Add(glob);
        }

        if (!type.Namespaced && !query.Namespaces.IsEmpty)
        {
            failure = ReadFailure.Invalid("query.namespaces", $"{type.GroupResource} do not live in namespaces; leave the namespaces out.");
            return null;
        }

        return new CompiledQuery(query, type, names.DrainToImmutable(), labels, fields);
    }

    /// <summary>Whether the columns of a row match; where <see cref="NeedsJson"/> is set, the JSON has a say too.</summary>
    public bool MatchesRow(MirrorRow row, DateTimeOffset now)
    {
        if (_namespaces.Count > 0 && !_namespaces.Contains(row.Namespace))
        {
            return false;
        }

        if (_readiness != 0 && (_readiness & (1u << (int)RowReading.StateOf(row))) == 0)
        {
            return false;
        }

        if (!_labels.IsEmpty && !_labels.Matches(row.Family, static (family, key) => family.LabelOf(key)))
        {
            return false;
        }

        foreach ((RowColumn column, FieldCondition condition) in _columns)
        {
            if (!condition.Matches(column.ValueOf(row), now))
            {
                return false;
            }
        }

        return ((_names.Count == 0 && _globs.IsEmpty) || MatchesName(row)) && (_text is null || MatchesText(row, _text));
    }

    /// <summary>Whether an object's JSON meets the conditions that no column decides.</summary>
    public bool MatchesJson(ReadOnlySpan<byte> json, DateTimeOffset now) => _json.Matches(json, now);

    /// <summary>Whether the JSON of a row meets the conditions that no column decides.</summary>
    public bool MatchesJson(MirrorRow row, DateTimeOffset now) =>
        RowReading.WithJson(row, (Query: this, Now: now), static (json, s) => s.Query.MatchesJson(json, s.Now));

    /// <summary>Whether a row matches in every part, unpacking its JSON where that is needed.</summary>
    public bool Matches(MirrorRow row, DateTimeOffset now) => MatchesRow(row, now) && (!NeedsJson || MatchesJson(row, now));

    private IndexTerm? BestTerm(List<(RowColumn Column, FieldCondition Condition)> columns)
    {
        // Uids and names name one object, a node some dozens, a label anything from one to all.
        if (Equal("metadata.uid") is { } uid)
        {
            return IndexTerm.Uid(ObjectUid.From(uid));
        }

        if (_names.Count == 1 && _globs.IsEmpty)
        {
            return IndexTerm.Name(_names.First());
        }

        if (Equal("metadata.name") is { } name)
        {
            return IndexTerm.Name(name);
        }

        if (Equal("spec.nodeName") is { } node)
        {
            return IndexTerm.Node(node);
        }

        foreach (LabelRequirement requirement in _labels.Requirements)
        {
            if (requirement.Operator is LabelOperator.Equals or LabelOperator.In && requirement.Values.Length == 1)
            {
                return IndexTerm.Label(requirement.Key, requirement.Values[0]);
            }
        }

        foreach (LabelRequirement requirement in _labels.Requirements)
        {
            if (requirement.Operator is LabelOperator.Exists or LabelOperator.Equals or LabelOperator.In)
            {
                return IndexTerm.LabelKey(requirement.Key);
            }
        }

        return null;

        // A bare literal may equal other texts by value (1000m and 1), so only literals that are nothing but text narrow the search.
        string? Equal(string path) => columns
            .Where(c => c.Condition.Operator == FieldOperator.Equal && c.Condition.Path.Text == path)
            .Select(c => c.Condition.Values[0])
            .Where(v => v.Text.Length > 0 && (v.IsQuoted || v.Kind == FieldLiteralKind.Text))
            .Select(v => v.Text)
            .FirstOrDefault();
    }

    private string? FieldsForServer(List<(RowColumn Column, FieldCondition Condition)> columns)
    {
        var terms = ImmutableArray.CreateBuilder<FieldTerm>();
        if (_names.Count == 1 && _globs.IsEmpty)
        {
            terms.Add(new FieldTerm("metadata.name", false, _names.First()));
        }

        foreach ((_, FieldCondition condition) in columns)
        {
            // Servers compare texts only. Every server selects by name and namespace, for pods by these two besides.
            if (condition.Operator is FieldOperator.Equal or FieldOperator.NotEqual
                && (condition.Values[0].IsQuoted || condition.Values[0].Kind == FieldLiteralKind.Text)
                && (condition.Path.Text is "metadata.name" or "metadata.namespace"
                    || (condition.Path.Text is "spec.nodeName" or "status.phase" && KindProfiles.For(Type) == KindProfile.Pod)))
            {
                terms.Add(new FieldTerm(condition.Path.Text, condition.Operator == FieldOperator.NotEqual, condition.Values[0].Text));
            }
        }

        return terms.Count == 0 ? null : string.Join(',', terms);
    }

    private bool MatchesName(MirrorRow row)
    {
        ReadOnlySpan<byte> utf8 = row.NameUtf8;
        Span<char> scratch = stackalloc char[256];
        ReadOnlySpan<char> name = Encoding.UTF8.TryGetChars(utf8, scratch, out int length) ? scratch[..length] : row.Name;
        if (_names.GetAlternateLookup<ReadOnlySpan<char>>().Contains(name))
        {
            return true;
        }

        foreach (NameGlob glob in _globs)
        {
            if (glob.Matches(name))
            {
                return true;
            }
        }

        return false;
    }

    private static bool MatchesText(MirrorRow row, string text)
    {
        Span<char> scratch = stackalloc char[256];
        ReadOnlySpan<char> name = Encoding.UTF8.TryGetChars(row.NameUtf8, scratch, out int length) ? scratch[..length] : row.Name;
        if (name.Contains(text, StringComparison.OrdinalIgnoreCase) || row.Namespace.Contains(text, StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        foreach ((_, string value) in row.Family.Labels)
        {
            if (value.Contains(text, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>A field that the mirror keeps beside the packed JSON, so that a condition on it costs no unpacking.</summary>
internal sealed class RowColumn(Func<MirrorRow, string?> valueOf)
{
    private static readonly RowColumn Name = new(row => row.Name);
    private static readonly RowColumn Namespace = new(row => row.Namespace.Length == 0 ? null : row.Namespace);
    private static readonly RowColumn Uid = new(row => row.UidText);
    private static readonly RowColumn Node = new(row => row.NodeName.Length == 0 ? null : row.NodeName);
    private static readonly RowColumn Phase = new(row => row.Status.Phase.Length == 0 ? null : row.Status.Phase);
    private static readonly RowColumn Created = new(row =>
        row.CreatedAt?.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));

    /// <summary>The value of a row; null where the object has none.</summary>
    public string? ValueOf(MirrorRow row) => valueOf(row);

    /// <summary>The column that decides a condition exactly as the JSON would; null where none does.</summary>
    public static RowColumn? For(FieldCondition condition, ResourceType type)
    {
        ImmutableArray<FieldStep> steps = condition.Path.Steps;
        if (steps is [{ Name: "metadata" }, { Name: "labels" }, { Kind: FieldStepKind.Property } label])
        {
            return new RowColumn(row => row.Family.LabelOf(label.Name));
        }

        switch (condition.Path.Text)
        {
            case "metadata.name":
                return Name;
            case "metadata.namespace":
                return Namespace;
            case "metadata.uid":
                return Uid;
            case "metadata.creationTimestamp":
                return Created;
        }

        // These columns cannot tell the empty text from nothing; only exists sees the difference.
        if (condition.Operator is FieldOperator.Exists or FieldOperator.NotExists)
        {
            return null;
        }

        return condition.Path.Text switch
        {
            "status.phase" => Phase,
            "spec.nodeName" when KindProfiles.For(type) == KindProfile.Pod => Node,
            _ => null,
        };
    }
}
