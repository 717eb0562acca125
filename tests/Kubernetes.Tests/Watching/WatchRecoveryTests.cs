using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.TestSupport;

namespace MultiCluster.Kubernetes.Tests.Watching;

public sealed class WatchRecoveryTests
{
    [Theory]
    // A list.
    [InlineData("List", "Listed", 0, "Watch", "None")]
    [InlineData("List", "Expired", 0, "ListNewest", "None")]
    [InlineData("List", "Expired", 1, "ListNewest", "Backoff")]
    [InlineData("List", "RevisionAhead", 0, "ListNewest", "None")]
    [InlineData("List", "RevisionAhead", 3, "ListNewest", "Backoff")]
    [InlineData("List", "WentBack", 0, "ListNewest", "None")]
    [InlineData("List", "PageExpired", 0, "ListWhole", "None")]
    [InlineData("List", "PageExpired", 1, "ListWhole", "Backoff")]
    [InlineData("List", "Throttled", 0, "SameAgain", "Backoff")]
    [InlineData("List", "Unreachable", 9, "SameAgain", "Backoff")]
    [InlineData("List", "TimedOut", 0, "SameAgain", "Backoff")]
    [InlineData("List", "ServerError", 0, "SameAgain", "Backoff")]
    [InlineData("List", "Denied", 0, "SameAgain", "Backoff")]
    [InlineData("List", "Invalid", 0, "SameAgain", "Backoff")]
    [InlineData("List", "Protocol", 0, "SameAgain", "Backoff")]
    [InlineData("List", "Vanished", 0, "SameAgain", "Slow")]
    // A streamed list.
    [InlineData("WatchList", "Listed", 0, "Watch", "None")]
    [InlineData("WatchList", "Invalid", 0, "ListPlain", "None", true)]
    [InlineData("WatchList", "Silent", 0, "ListPlain", "None", true)]
    [InlineData("WatchList", "Closed", 0, "ListPlain", "Backoff")]
    [InlineData("WatchList", "Broken", 0, "ListPlain", "Backoff")]
    [InlineData("WatchList", "Protocol", 0, "ListPlain", "Backoff")]
    [InlineData("WatchList", "ServerError", 0, "ListPlain", "Backoff")]
    [InlineData("WatchList", "Denied", 0, "ListPlain", "None")]
    [InlineData("WatchList", "Expired", 0, "ListNewest", "None")]
    [InlineData("WatchList", "RevisionAhead", 1, "ListPlain", "Backoff")]
    [InlineData("WatchList", "Expired", 1, "ListPlain", "Backoff")]
    [InlineData("WatchList", "Throttled", 0, "SameAgain", "Backoff")]
    [InlineData("WatchList", "Unreachable", 0, "SameAgain", "Backoff")]
    [InlineData("WatchList", "Vanished", 0, "SameAgain", "Slow")]
    // A watch.
    [InlineData("Watch", "Closed", 99, "Watch", "None")]
    [InlineData("Watch", "Silent", 0, "Watch", "None")]
    [InlineData("Watch", "Broken", 0, "Watch", "None")]
    [InlineData("Watch", "Broken", 1, "Watch", "Backoff")]
    [InlineData("Watch", "ClosedAtOnce", 0, "Watch", "Backoff")]
    [InlineData("Watch", "ClosedAtOnce", 4, "List", "Backoff")]
    [InlineData("Watch", "ServerError", 3, "Watch", "Backoff")]
    [InlineData("Watch", "ServerError", 4, "List", "Backoff")]
    [InlineData("Watch", "TimedOut", 0, "Watch", "Backoff")]
    [InlineData("Watch", "Throttled", 99, "Watch", "Backoff")]
    [InlineData("Watch", "Unreachable", 99, "Watch", "Backoff")]
    [InlineData("Watch", "Denied", 99, "Watch", "Backoff")]
    [InlineData("Watch", "Expired", 0, "List", "Resync")]
    [InlineData("Watch", "Protocol", 0, "List", "Backoff")]
    [InlineData("Watch", "WentBack", 0, "ListNewest", "Resync")]
    [InlineData("Watch", "RevisionAhead", 0, "ListNewest", "Resync")]
    [InlineData("Watch", "Invalid", 0, "ListNewest", "Backoff")]
    [InlineData("Watch", "Vanished", 0, "List", "Slow")]
    public void For_Ending_HasOneRecovery(string attempt, string ending, int repeats, string next, string pause, bool refusesWatchList = false)
    {
        Recovery recovery = WatchRecovery.For(Enum.Parse<Attempt>(attempt), Enum.Parse<Ending>(ending), repeats);
        Assert.Equal(new Recovery(Enum.Parse<NextStep>(next), Enum.Parse<Pause>(pause), refusesWatchList), recovery);
    }

    [Fact]
    public void EndingOf_EveryErrorKind_HasARecoveryForListAndWatch()
    {
        foreach (KubeErrorKind kind in Enum.GetValues<KubeErrorKind>())
        {
            Ending ending = WatchRecovery.EndingOf(new KubeError(kind, "x"));
            foreach (Attempt attempt in Enum.GetValues<Attempt>())
            {
                Recovery recovery = WatchRecovery.For(attempt, ending, 5);
                Assert.NotEqual(Pause.None, ending is Ending.Invalid or Ending.Denied && attempt == Attempt.WatchList ? Pause.Slow : recovery.Pause);
            }
        }
    }

    [Fact]
    public void Backoff_Failures_GrowToTheLimitAndStartAnewAfterTwoGoodMinutes()
    {
        var time = new ManualTimeProvider();
        double jitter = 0;
        var backoff = new Backoff(TimeSpan.FromSeconds(0.8), TimeSpan.FromSeconds(30), time, () => jitter);
        double[] waits = [.. Enumerable.Range(0, 8).Select(_ =>
        {
            TimeSpan wait = backoff.Next();
            time.Advance(wait);
            return wait.TotalSeconds;
        })];
        Assert.Equal([0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30], waits);
        jitter = 1;
        Assert.Equal(60, backoff.Next().TotalSeconds);
        time.Advance(TimeSpan.FromSeconds(60 + 120));
        Assert.Equal(60, backoff.Next().TotalSeconds);   // exactly two minutes are not enough
        time.Advance(TimeSpan.FromSeconds(60 + 120.001));
        Assert.Equal(1.6, backoff.Next().TotalSeconds);
    }

    [Fact]
    public void SilenceGuard_Stream_IsCutExactlyAtItsLimit()
    {
        var time = new ManualTimeProvider();
        using var guard = new SilenceGuard(TimeSpan.FromSeconds(330), time, CancellationToken.None);
        time.Advance(TimeSpan.FromSeconds(300));
        guard.Heard();
        time.Advance(TimeSpan.FromSeconds(329));
        Assert.False(guard.Token.IsCancellationRequested);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(guard.Token.IsCancellationRequested && guard.IsSilent);
    }

    [Fact]
    public void SilenceGuard_ShorterLimit_CountsFromTheLastSound()
    {
        var time = new ManualTimeProvider();
        using var guard = new SilenceGuard(TimeSpan.FromSeconds(630), time, CancellationToken.None);
        guard.Heard();
        guard.Limit = TimeSpan.FromSeconds(195);
        time.Advance(TimeSpan.FromSeconds(194));
        Assert.False(guard.IsSilent);
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(guard.IsSilent);
    }
}
