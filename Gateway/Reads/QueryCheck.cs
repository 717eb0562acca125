using System.Collections.Immutable;
using System.Globalization;
using MultiCluster.Fleet;
using MultiCluster.Kubernetes.Querying;
using MultiCluster.Kubernetes.Selectors;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>Checks one request against the rules and the fleet, and collects every fault.</summary>
internal sealed class QueryCheck(FleetSnapshot fleet)
{
    private const int MaxEntries = 1000;
    private const int MaxText = 253;
    private const int MaxSelector = 8192;
    private const int MaxFaults = 8;
    private const int MaxShown = 64;

    private readonly ImmutableArray<ReadFault>.Builder _faults = ImmutableArray.CreateBuilder<ReadFault>();

    /// <summary>The selected clusters in order; those of the names that exist where some do not.</summary>
    /// <param name="selection">What is asked for.</param>
    /// <param name="orDeparted">Whether clusters that left within the kept history count: a watch that resumes has to hear of their leave.</param>
    public SelectedClusters Clusters(ClusterSelection selection, bool orDeparted = false)
    {
        CheckCount(ReadFields.ClusterNames, selection.Names.Length);
        foreach (string name in selection.Names)
        {
            if (!LabelSyntax.IsDnsLabel(name))
            {
                Add(ReadFields.ClusterNames, $"'{Shown(name)}' is no name of a cluster: use 1 to 63 lower-case letters, digits and '-'.");
            }
            else if (!fleet.Clusters.ContainsKey(name) && !(orDeparted && fleet.Departures.Any(d => d.Name == name)))
            {
                Add(ReadFields.ClusterNames, $"No cluster '{name}' is registered.{NearestNames.Suggest(name, fleet.Clusters.Keys)}");
            }
        }

        LabelSelector? labels = LabelSelector.Everything;
        if (selection.LabelSelector?.Length > MaxSelector)
        {
            Add(ReadFields.ClusterLabels, $"The label selector has {selection.LabelSelector.Length} characters; at most {MaxSelector} are allowed.");
        }
        else if (!LabelSelector.TryParse(selection.LabelSelector, out labels, out string? error))
        {
            Add(ReadFields.ClusterLabels, error);
            labels = LabelSelector.Everything;
        }

        return new SelectedClusters(selection, labels);
    }

    public void Objects(ObjectQuery query)
    {
        CheckKind(ReadFields.Kind, query.Kind);
        CheckCount(ReadFields.Namespaces, query.Namespaces.Length);
        foreach (string ns in query.Namespaces)
        {
            CheckNamespace(ReadFields.Namespaces, ns);
        }

        CheckCount(ReadFields.Names, query.Names.Length);
        foreach (string name in query.Names)
        {
            if (!NameGlob.TryParse(name, out _, out string? error))
            {
                Add(ReadFields.Names, error);
            }
        }

        if (query.Text is { } text && text.Length > MaxText)
        {
            Add(ReadFields.Text, $"The text has {text.Length} characters; at most {MaxText} are searched for.");
        }

        if (query.LabelSelector?.Length > MaxSelector)
        {
            Add(ReadFields.Labels, $"The label selector has {query.LabelSelector.Length} characters; at most {MaxSelector} are allowed.");
        }
        else if (!LabelSelector.TryParse(query.LabelSelector, out _, out string? labelError))
        {
            Add(ReadFields.Labels, labelError);
        }

        if (!FieldExpression.TryParse(query.FieldSelector, out _, out FieldSyntaxError? fieldError))
        {
            Add(ReadFields.Fields, fieldError.Message);
        }

        foreach (ReadinessState state in query.Readiness)
        {
            if (!Enum.IsDefined(state))
            {
                Add(ReadFields.Readiness, $"{(int)state} is no readiness; use one of {string.Join(", ", Enum.GetNames<ReadinessState>())}.");
            }
        }

        if (query.Owner is { } owner)
        {
            CheckOwner(owner);
        }
    }

    public void Key(FleetGetQuery query)
    {
        CheckKind(ReadFields.Kind, query.Kind);
        if (query.Namespace.Length > 0)
        {
            CheckNamespace(ReadFields.Namespace, query.Namespace);
        }

        if (!NameGlob.TryParse(query.Name, out NameGlob? name, out string? error))
        {
            Add(ReadFields.Name, error);
        }
        else if (!name.IsLiteral)
        {
            Add(ReadFields.Name, $"'{query.Name}' is a pattern; a get takes one plain name, a list takes patterns.");
        }
    }

    public void Limit(int limit)
    {
        if (limit is < 1 or > FleetQuery.MaxLimit)
        {
            Add(ReadFields.Limit, $"The limit is {limit}; a page has 1 to {FleetQuery.MaxLimit} objects (default {FleetQuery.DefaultLimit}).");
        }
    }

    public void Deadline(TimeSpan deadline)
    {
        if (deadline <= TimeSpan.Zero || deadline > FleetQuery.MaxDeadline)
        {
            Add(ReadFields.Deadline, string.Create(
                CultureInfo.InvariantCulture, $"The deadline is {deadline.TotalSeconds} s; it must be above 0 and at most {FleetQuery.MaxDeadline.TotalSeconds} s."));
        }
    }

    public void Groups(ImmutableArray<GroupBy> by)
    {
        if (by.Length > 3 || by.Distinct().Count() != by.Length || by.Any(g => g == GroupBy.None || !Enum.IsDefined(g)))
        {
            Add(ReadFields.GroupBy, "Group by at most three different ones of cluster, namespace, phase, node, image, readiness.");
        }
    }

    public void BookmarkEvery(TimeSpan interval)
    {
        if (interval < TimeSpan.FromSeconds(1) || interval > TimeSpan.FromMinutes(1))
        {
            Add(ReadFields.BookmarkEvery, "Bookmarks come every 1 to 60 seconds.");
        }
    }

    /// <summary>Reads a revision of a watch; null where there is none.</summary>
    public long? Revision(string? text, FleetClock clock)
    {
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        if (!long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long revision) || revision <= 0 || !clock.Observe(revision))
        {
            Add(ReadFields.Revision, "This is no revision of this fleet: give back the revision of a list or of the last event, or none to begin with the present.");
            return null;
        }

        return revision;
    }

    /// <summary>Reads a continue token; null where there is none.</summary>
    public ContinueToken? Continue(FleetQuery query, FleetClock clock)
    {
        if (string.IsNullOrEmpty(query.Continue))
        {
            return null;
        }

        if (!ContinueToken.TryParse(query.Continue, out ContinueToken? token) || !clock.Observe(token.Revision))
        {
            Add(ReadFields.Continue, "This is no continue token of this service, or it is damaged: give back the token of the page before unchanged, or none to begin anew.");
            return null;
        }

        if (token.QueryHash != ContinueToken.HashOf(query))
        {
            Add(ReadFields.Continue, "This continue token belongs to another query: repeat the query of the first page unchanged, or leave the token out to begin anew.");
            return null;
        }

        return token;
    }

    public void Add(string field, string message)
    {
        // Whoever has a thousand names wrong learns nothing from the last of them, and gRPC clients take 8 KiB of headers.
        if (_faults.Count < MaxFaults)
        {
            _faults.Add(new ReadFault(field, message));
        }
    }

    public void ThrowIfWrong()
    {
        if (_faults.Count > 0)
        {
            throw new InvalidQueryException(_faults.ToImmutable());
        }
    }

    // What a client sent comes back to it, but not without end.
    private static string Shown(string text) => text.Length <= MaxShown ? text : $"{text.AsSpan(0, MaxShown - 3)}...";

    private void CheckOwner(OwnerQuery owner)
    {
        if (owner.Depth is < 1 or > 4)
        {
            Add(ReadFields.Owner, $"The depth is {owner.Depth}; an owner may be 1 to 4 steps up.");
        }

        if (string.IsNullOrEmpty(owner.Uid))
        {
            if (string.IsNullOrEmpty(owner.Kind) || string.IsNullOrEmpty(owner.Name))
            {
                Add(ReadFields.Owner, "Name the owner by its uid, or by kind and name.");
                return;
            }

            CheckKind(ReadFields.Owner, owner.Kind);
            if (!NameGlob.TryParse(owner.Name, out NameGlob? glob, out string? error))
            {
                Add(ReadFields.Owner, error);
            }
            else if (!glob.IsLiteral)
            {
                Add(ReadFields.Owner, "The owner's name must be a plain name without '*' and '?'.");
            }
        }
    }

    private void CheckKind(string field, string kind)
    {
        if (string.IsNullOrEmpty(kind))
        {
            Add(field, "Name a kind, such as pods, deployments.apps or apps/v1/deployments.");
        }
        else if (kind.Length > MaxText || !kind.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '/'))
        {
            Add(field, $"'{Shown(kind)}' is no name of a kind; write pods, deploy, deployments.apps, deployments.v1.apps or apps/v1/deployments.");
        }
    }

    private void CheckNamespace(string field, string ns)
    {
        if (!LabelSyntax.IsDnsLabel(ns))
        {
            Add(field, $"'{Shown(ns)}' is no name of a namespace: use 1 to 63 lower-case letters, digits and '-'.");
        }
    }

    private void CheckCount(string field, int count)
    {
        if (count > MaxEntries)
        {
            Add(field, $"There are {count} entries; at most {MaxEntries} are allowed.");
        }
    }
}

/// <summary>Decides which clusters a request means. Immutable.</summary>
internal sealed class SelectedClusters(ClusterSelection selection, LabelSelector labels)
{
    /// <summary>Whether labels have a say; only then can a cluster come and go by them.</summary>
    public bool ByLabels => !labels.IsEmpty;

    /// <summary>Whether the cluster was asked for by its name.</summary>
    public bool Names(string cluster) => selection.Names.Contains(cluster);

    /// <summary>Whether a cluster belongs to the selection.</summary>
    public bool Matches(ClusterEntry entry) =>
        (selection.Names.IsEmpty || selection.Names.Contains(entry.Name)) && (labels.IsEmpty || labels.Matches(entry.Labels));

    /// <summary>Whether a cluster that is gone may have belonged to it; its labels are no longer known.</summary>
    public bool MayHaveMatched(string name) => selection.Names.IsEmpty || selection.Names.Contains(name);

    /// <summary>The clusters of a snapshot that belong to it, in order.</summary>
    public ImmutableArray<ClusterEntry> In(FleetSnapshot fleet)
    {
        if (!selection.Names.IsEmpty)
        {
            // A few names out of a large fleet must not cost a walk over all of it.
            return
            [
                .. selection.Names.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)
                    .Select(name => fleet.Clusters.GetValueOrDefault(name))
                    .OfType<ClusterEntry>().Where(Matches),
            ];
        }

        return labels.IsEmpty ? fleet.Ordered : [.. fleet.Ordered.Where(Matches)];
    }
}
