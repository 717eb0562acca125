using System.Diagnostics;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Kubernetes.Watching;

/// <summary>What a reflector tried.</summary>
internal enum Attempt
{
    /// <summary>An ordinary list.</summary>
    List,

    /// <summary>A list streamed as the beginning of a watch.</summary>
    WatchList,

    /// <summary>A watch from a known revision.</summary>
    Watch,
}

/// <summary>How an attempt ended; each value has exactly one recovery per attempt.</summary>
internal enum Ending
{
    /// <summary>The list is whole.</summary>
    Listed,

    /// <summary>The watch ended as servers end watches.</summary>
    Closed,

    /// <summary>The watch ended within a second and without an event.</summary>
    ClosedAtOnce,

    /// <summary>An open stream broke.</summary>
    Broken,

    /// <summary>An open stream went silent for longer than its server would be.</summary>
    Silent,

    /// <summary>Our revision has left the server's window.</summary>
    Expired,

    /// <summary>A page's token has; the pages before it are of no use alone.</summary>
    PageExpired,

    /// <summary>The server has not reached our revision: it lags, or was restored from a backup.</summary>
    RevisionAhead,

    /// <summary>The server's revision is behind what it has told us: it was restored from a backup.</summary>
    WentBack,

    /// <summary>The server asks for fewer requests.</summary>
    Throttled,

    /// <summary>No connection: refused, unresolved, no TLS.</summary>
    Unreachable,

    /// <summary>No answer in time.</summary>
    TimedOut,

    /// <summary>The server failed.</summary>
    ServerError,

    /// <summary>401 or 403.</summary>
    Denied,

    /// <summary>The kind is not served.</summary>
    Vanished,

    /// <summary>The server refuses the request as wrong.</summary>
    Invalid,

    /// <summary>What came is not the Kubernetes protocol, or the sink cannot use it.</summary>
    Protocol,
}

/// <summary>What to do next.</summary>
internal enum NextStep
{
    /// <summary>Watch from the last revision.</summary>
    Watch,

    /// <summary>List at least as new as the last revision; the server may answer from its cache.</summary>
    List,

    /// <summary>List the newest state, whatever revision it has.</summary>
    ListNewest,

    /// <summary>As the list before, but in one piece.</summary>
    ListWhole,

    /// <summary>As the list before, but not streamed as a watch.</summary>
    ListPlain,

    /// <summary>The same list again.</summary>
    SameAgain,
}

/// <summary>How long to wait first.</summary>
internal enum Pause
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>The ordinary backoff, and at least what the server asked for.</summary>
    Backoff,

    /// <summary>A backoff of its own for a server that answers, but no longer at our revision: an outage before does not lengthen it.</summary>
    Resync,

    /// <summary>The slow backoff of things that people must bring back.</summary>
    Slow,
}

/// <summary>One decision.</summary>
internal readonly record struct Recovery(NextStep Next, Pause Pause, bool RefusesWatchList = false);

/// <summary>The one place that decides what follows a list or watch that ended.</summary>
internal static class WatchRecovery
{
    // A server that closes every watch at once, or fails every time, may have lost what our revision stands on.
    private const int TriesBeforeList = 4;

    /// <summary>Decides.</summary>
    /// <param name="attempt">What was tried.</param>
    /// <param name="ending">How it ended.</param>
    /// <param name="repeats">How often the same attempt has ended the same way just before, without a good minute between.</param>
    public static Recovery For(Attempt attempt, Ending ending, int repeats) => attempt switch
    {
        Attempt.List => ForList(ending, repeats),
        Attempt.WatchList => ForWatchList(ending, repeats),
        Attempt.Watch => ForWatch(ending, repeats),
        _ => throw new UnreachableException($"No recovery for {attempt}."),
    };

    /// <summary>What an error of a request or an ERROR event means for a list or watch.</summary>
    public static Ending EndingOf(KubeError error) => error switch
    {
        { ResourceVersionTooLarge: true } => Ending.RevisionAhead,
        { Kind: KubeErrorKind.Gone } => Ending.Expired,
        { Kind: KubeErrorKind.Throttled } => Ending.Throttled,
        { Kind: KubeErrorKind.ConnectionRefused or KubeErrorKind.NameResolution or KubeErrorKind.Tls } => Ending.Unreachable,
        { Kind: KubeErrorKind.Timeout } => Ending.TimedOut,
        { Kind: KubeErrorKind.ServerError } => Ending.ServerError,
        { Kind: KubeErrorKind.Unauthorized or KubeErrorKind.Forbidden } => Ending.Denied,
        { Kind: KubeErrorKind.NotFound } => Ending.Vanished,
        { Kind: KubeErrorKind.Invalid or KubeErrorKind.Conflict } => Ending.Invalid,
        _ => Ending.Protocol,
    };

    private static Recovery ForList(Ending ending, int repeats) => ending switch
    {
        Ending.Listed => new(NextStep.Watch, Pause.None),
        // The newest state is asked for at once, but a server that refuses that too is not asked in a circle.
        Ending.Expired or Ending.RevisionAhead or Ending.WentBack => new(NextStep.ListNewest, repeats == 0 ? Pause.None : Pause.Backoff),
        Ending.PageExpired => new(NextStep.ListWhole, repeats == 0 ? Pause.None : Pause.Backoff),
        Ending.Vanished => new(NextStep.SameAgain, Pause.Slow),
        _ => new(NextStep.SameAgain, Pause.Backoff),
    };

    private static Recovery ForWatchList(Ending ending, int repeats) => ending switch
    {
        Ending.Listed => new(NextStep.Watch, Pause.None),
        Ending.Invalid => new(NextStep.ListPlain, Pause.None, RefusesWatchList: true),   // the feature is off, or unknown
        Ending.Silent => new(NextStep.ListPlain, Pause.None, RefusesWatchList: true),   // the server ignores what it was asked
        // A server that finds even the newest state too old for a stream may still answer a list.
        Ending.Expired or Ending.RevisionAhead or Ending.WentBack => repeats == 0
            ? new(NextStep.ListNewest, Pause.None)
            : new(NextStep.ListPlain, Pause.Backoff),
        Ending.Denied => new(NextStep.ListPlain, Pause.None),   // the right to watch may be missing alone
        Ending.Throttled or Ending.Unreachable or Ending.TimedOut => new(NextStep.SameAgain, Pause.Backoff),
        Ending.Vanished => new(NextStep.SameAgain, Pause.Slow),
        _ => new(NextStep.ListPlain, Pause.Backoff),
    };

    private static Recovery ForWatch(Ending ending, int repeats) => ending switch
    {
        Ending.Closed or Ending.Silent => new(NextStep.Watch, Pause.None),   // the normal life of a watch
        Ending.Broken => new(NextStep.Watch, repeats == 0 ? Pause.None : Pause.Backoff),
        Ending.ClosedAtOnce or Ending.ServerError or Ending.TimedOut =>
            new(repeats < TriesBeforeList ? NextStep.Watch : NextStep.List, Pause.Backoff),
        // A list now would feed the overload, or be refused in the same way.
        Ending.Throttled or Ending.Unreachable or Ending.Denied => new(NextStep.Watch, Pause.Backoff),
        Ending.Expired => new(NextStep.List, Pause.Resync),
        Ending.Protocol => new(NextStep.List, Pause.Backoff),
        Ending.WentBack or Ending.RevisionAhead => new(NextStep.ListNewest, Pause.Resync),
        Ending.Invalid => new(NextStep.ListNewest, Pause.Backoff),
        Ending.Vanished => new(NextStep.List, Pause.Slow),
        _ => throw new UnreachableException($"A watch does not end with {ending}."),
    };
}
