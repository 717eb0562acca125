using System.Collections.Immutable;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Reads;

/// <summary>One fault of a request.</summary>
/// <param name="Field">Field of the request, such as <c>query.label_selector</c>, <c>limit</c>, <c>clusters.names</c>.</param>
/// <param name="Message">What is wrong and what would be right; fit for the user.</param>
public readonly record struct ReadFault(string Field, string Message);

/// <summary>Names of request fields in <see cref="ReadFault.Field"/>; those of the gRPC API, and of HTTP parameters with the same last part.</summary>
public static class ReadFields
{
    /// <summary>Cluster names.</summary>
    public const string ClusterNames = "clusters.names";

    /// <summary>Label selector over clusters.</summary>
    public const string ClusterLabels = "clusters.label_selector";

    /// <summary>Kind.</summary>
    public const string Kind = "query.kind";

    /// <summary>Namespaces.</summary>
    public const string Namespaces = "query.namespaces";

    /// <summary>Names and name globs.</summary>
    public const string Names = "query.names";

    /// <summary>Free text.</summary>
    public const string Text = "query.text";

    /// <summary>Label selector over objects.</summary>
    public const string Labels = "query.label_selector";

    /// <summary>Field selector.</summary>
    public const string Fields = "query.field_selector";

    /// <summary>Readiness.</summary>
    public const string Readiness = "query.readiness";

    /// <summary>Owner.</summary>
    public const string Owner = "query.owner";

    /// <summary>Page size.</summary>
    public const string Limit = "limit";

    /// <summary>Continue token.</summary>
    public const string Continue = "continue";

    /// <summary>Deadline.</summary>
    public const string Deadline = "deadline";

    /// <summary>Revision of a watch.</summary>
    public const string Revision = "revision";

    /// <summary>Interval of bookmarks.</summary>
    public const string BookmarkEvery = "bookmark_every";

    /// <summary>What to count by.</summary>
    public const string GroupBy = "group_by";

    /// <summary>Namespace of a get.</summary>
    public const string Namespace = "namespace";

    /// <summary>Name of a get.</summary>
    public const string Name = "name";
}

/// <summary>The request is wrong and will be wrong again: gRPC <c>INVALID_ARGUMENT</c>, HTTP 400.</summary>
/// <remarks>Holds every fault that was found. Its texts are meant for the user and hold nothing internal.</remarks>
public sealed class InvalidQueryException(ImmutableArray<ReadFault> faults)
    : Exception(string.Join(' ', faults.Select(f => $"{f.Field}: {f.Message}")))
{
    /// <summary>With one fault.</summary>
    public InvalidQueryException(string field, string message)
        : this([new ReadFault(field, message)])
    {
    }

    /// <summary>The faults; at least one.</summary>
    public ImmutableArray<ReadFault> Faults => faults;
}

/// <summary>A strict request could not be answered for every selected cluster: gRPC <c>UNAVAILABLE</c>, HTTP 503.</summary>
public sealed class IncompleteReadException(ImmutableArray<ClusterCoverage> missing, string advice = "Ask without strict, or select other clusters.")
    : Exception($"{missing.Length} of the selected clusters are not covered: "
        + string.Join(", ", missing.Take(5).Select(c => $"{c.Cluster} ({c.State})"))
        + (missing.Length > 5 ? ", …" : "") + $". {advice}")
{
    /// <summary>The clusters that are not covered, ordered by name.</summary>
    public ImmutableArray<ClusterCoverage> Missing => missing;
}

/// <summary>A revision or continue token lies before the kept history: gRPC <c>OUT_OF_RANGE</c>, HTTP 410 with reason <c>Expired</c>.</summary>
public sealed class ExpiredReadException(string message) : Exception(message);

/// <summary>So many watches are open that no further one may begin: gRPC <c>RESOURCE_EXHAUSTED</c>, HTTP 429.</summary>
public sealed class TooManyWatchesException(string message, TimeSpan retryAfter) : Exception(message)
{
    /// <summary>When it is worth another try.</summary>
    public TimeSpan RetryAfter => retryAfter;
}

/// <summary>This gateway has not heard from the fleet yet: gRPC <c>UNAVAILABLE</c>, HTTP 503. Try again.</summary>
public sealed class FleetUnavailableException(string message) : Exception(message);
