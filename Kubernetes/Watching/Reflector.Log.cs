using Microsoft.Extensions.Logging;

namespace MultiCluster.Kubernetes.Watching;

/// <content>What it says.</content>
public sealed partial class Reflector
{
    [LoggerMessage(1101, LogLevel.Debug, "Cluster {Cluster}: {Resource} listed at {Version}; watching.", EventName = "ResourceListed")]
    private static partial void LogListed(ILogger logger, string cluster, string resource, string version);

    [LoggerMessage(1102, LogLevel.Debug, "Cluster {Cluster}: watch of {Resource} ended ({Ending}) at {Version}; next: {Next}.", EventName = "WatchEnded")]
    private static partial void LogStreamEnded(ILogger logger, string cluster, string resource, Ending ending, string version, NextStep next);

    [LoggerMessage(1103, LogLevel.Debug, "Cluster {Cluster}: {Resource} at {Version} cannot be followed any further ({Ending}); listing again.", EventName = "ListingAgain")]
    private static partial void LogListingAgain(ILogger logger, string cluster, string resource, Ending ending, string version);

    // A member that is gone fails every kind again and again: whoever looks after the cluster says it once.
    [LoggerMessage(1104, LogLevel.Debug, "Cluster {Cluster}: {Attempt} of {Resource} failed ({Ending}); trying again with growing pauses. {Error}", EventName = "ResourceFailed")]
    private static partial void LogFailed(ILogger logger, string cluster, string resource, Attempt attempt, Ending ending, string error);

    [LoggerMessage(1105, LogLevel.Information, "Cluster {Cluster}: the server does not stream lists (asked for {Resource}); using pages.", EventName = "WatchListRefused")]
    private static partial void LogWatchListRefused(ILogger logger, string cluster, string resource);

    [LoggerMessage(1106, LogLevel.Warning, "Cluster {Cluster}: the server went back to an older state (seen with {Resource}); listing every kind again. {Error}", EventName = "ServerWentBack")]
    private static partial void LogWentBack(ILogger logger, string cluster, string resource, string error);
}
