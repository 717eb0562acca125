using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Watching;
using static MultiCluster.Kubernetes.Tests.Watching.Answers;

namespace MultiCluster.Kubernetes.Tests.Watching;

public sealed class ReflectorTests
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(800);

    [Fact]
    public async Task Run_Server_ListsThenWatchesAndDeliversInOrder()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10, "a", "b"), Open(Event("ADDED", "c", 11), Event("MODIFIED", "a", 12) + Event("DELETED", "b", 13), Bookmark(20)));
        Assert.Equal(["begin", "item a", "item b", "end 10", "Added c", "Modified a", "Deleted b", "bookmark 20"], await harness.Sink.NextAsync(8));
        Assert.Equal(["list limit=500 rv=0", "watch rv=10"], harness.Calls);
        ReflectorStatus status = harness.Reflector.Status;
        Assert.Equal((ReflectorPhase.Watching, true, 1, 1, (KubeError?)null), (status.Phase, status.Synced, status.Lists, status.Watches, status.Error));
    }

    [Fact]
    public async Task List_InPages_IsOneReplaceAtTheFirstPagesRevision()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, Page(10, "t1", "a"), Page(10, "t2", "b"), List(10, "c"));
        Assert.Equal(["begin", "item a", "item b", "item c", "end 10"], await harness.Sink.NextAsync(5));
        await harness.Api.CallsAsync(4);
        Assert.Equal(["list limit=500 rv=0", "list limit=500 continue=t1", "list limit=500 continue=t2", "watch rv=10"], harness.Calls);
    }

    [Fact]
    public async Task List_PageTokenExpires_IsReadWholeAtOnce()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, Page(10, "t1", "a"), Fails(410, "Expired"), List(12, "a", "b"));
        Assert.Equal(["begin", "item a", "abort", "begin", "item a", "item b", "end 12"], await harness.Sink.NextAsync(7));
        Assert.Equal(["list limit=500 rv=0", "list limit=500 continue=t1", "list rv=0"], harness.Calls.Take(3));
    }

    [Fact]
    public async Task List_BreaksInTheMiddle_KeepsWhatWasThereAndTriesAgain()
    {
        var cut = new TaskCompletionSource();
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, Break(cut.Task, ListBody(10, "", "a", "b")[..^20]), List(11, "a", "b"));
        Assert.Equal(["begin", "item a"], await harness.Sink.NextAsync(2));
        cut.SetResult();
        Assert.Equal("abort", await harness.Sink.NextAsync());
        ReflectorStatus failed = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal((KubeErrorKind.ConnectionRefused, 1, false), (failed.Error!.Kind, failed.Failures, failed.Synced));
        Assert.Equal(["begin", "item a", "item b", "end 11"], await harness.Sink.NextAsync(4));
    }

    [Theory]
    [InlineData("{\"items\":[{\"a\":")]
    [InlineData("<html>welcome</html>")]
    [InlineData("{\"kind\":\"Table\",\"metadata\":{\"resourceVersion\":\"1\"},\"rows\":[]}")]
    [InlineData("{\"items\":[]}")]
    public async Task List_WrongBody_IsAProtocolErrorWithBackoff(string body)
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, Watch(body), List(11));
        Assert.Equal(["begin", "abort"], await harness.Sink.NextAsync(2));
        Assert.Equal(KubeErrorKind.Protocol, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        Assert.Equal(["begin", "end 11"], await harness.Sink.NextAsync(2));
    }

    [Fact]
    public async Task List_ObjectOverTheLimit_IsRefusedAndTheRestKept()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(o => o with { MaxObjectBytes = 1000 },
            List(10, "a"), Open(Event("ADDED", new string('x', 2000), 11)), List(12, "a", new string('x', 2000)), List(13, "a"));
        Assert.Equal(["begin", "item a", "end 10"], await harness.Sink.NextAsync(3));
        Assert.Equal(KubeErrorKind.Protocol, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        Assert.Equal(["begin", "item a", "abort"], await harness.Sink.NextAsync(3));
        Assert.Equal(KubeErrorKind.Protocol, (await harness.SitOutBackoffAsync(FirstBackoff * 2)).Error!.Kind);
        Assert.Equal(["begin", "item a", "end 13"], await harness.Sink.NextAsync(3));
    }

    [Fact]
    public async Task List_SinkRefusesAnObject_CountsAsProtocol()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, List(10, "a"), Open(Event("ADDED", "bad", 11)), List(12, "a"));
        harness.Sink.Refuses = name => name == "bad";
        Assert.Equal(["begin", "item a", "end 10"], await harness.Sink.NextAsync(3));
        ReflectorStatus failed = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal(KubeErrorKind.Protocol, failed.Error!.Kind);
        Assert.Contains("bad is refused", failed.Error.Message, StringComparison.Ordinal);
        Assert.Equal(["begin", "item a", "end 12"], await harness.Sink.NextAsync(3));
        Assert.Equal("list rv=10", harness.Calls.ElementAt(2));
    }

    [Fact]
    public async Task List_Stalls_IsCutAfterTheStallTimeout()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, Open(ListBody(10, "", "a", "b")[..^20]), List(11));
        Assert.Equal(["begin", "item a"], await harness.Sink.NextAsync(2));
        harness.Time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal("abort", await harness.Sink.NextAsync());
        Assert.Equal(KubeErrorKind.Timeout, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        Assert.Equal(["begin", "end 11"], await harness.Sink.NextAsync(2));
    }

    [Fact]
    public async Task List_RevisionTooLarge_AsksForTheNewestAtOnce()
    {
        string cause = ""","details":{"causes":[{"reason":"ResourceVersionTooLarge"}],"retryAfterSeconds":1}""";
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(500, "a"), Watch(Error(410, "Expired")), Fails(504, "Timeout", cause), List(300, "a"));
        Assert.Equal(["begin", "item a", "end 500"], await harness.Sink.NextAsync(3));
        _ = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal(["begin", "abort", "begin", "item a", "end 300"], await harness.Sink.NextAsync(5));
        await harness.Api.CallsAsync(5);
        Assert.Equal(["list limit=500 rv=0", "watch rv=500", "list rv=500", "list limit=500", "watch rv=300"], harness.Calls);
    }

    [Fact]
    public async Task Watch_ClosedByServer_IsOpenedAgainWithoutListing()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10), Watch(Event("ADDED", "a", 11)), Watch(Event("ADDED", "b", 12).TrimEnd()), Open());
        Assert.Equal(["begin", "end 10", "Added a", "Added b"], await harness.Sink.NextAsync(4));
        await harness.Api.CallsAsync(4);
        Assert.Equal(["list limit=500 rv=0", "watch rv=10", "watch rv=11", "watch rv=12"], harness.Calls);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Watch_Expired_ListsAgainAtTheLastRevision(bool asEvent)
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10, "a"), asEvent ? Watch(Error(410, "Expired")) : Fails(410, "Gone"), List(50, "b"));
        Assert.Equal(["begin", "item a", "end 10"], await harness.Sink.NextAsync(3));
        Assert.Equal(KubeErrorKind.Gone, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        Assert.Equal(["begin", "item b", "end 50"], await harness.Sink.NextAsync(3));
        await harness.Api.CallsAsync(4);
        Assert.Equal(["list limit=500 rv=0", "watch rv=10", "list rv=10", "watch rv=50"], harness.Calls);
    }

    [Fact]
    public async Task Watch_ExpiredAfterALongOutage_ListsSoon()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10, "a"), Fails(500, "InternalError"), List(10), Fails(500, "InternalError"), List(10), Fails(500, "InternalError"), List(10), Watch(Error(410, "Expired")), List(50, "b"));
        for (int i = 0; i < 3; i++)
        {
            _ = await harness.SitOutBackoffAsync(FirstBackoff * (1 << i));
        }

        Assert.Equal(KubeErrorKind.Gone, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        Assert.Equal(["begin", "item a", "end 10", "begin", "item b", "end 50"], await harness.Sink.NextAsync(6));
    }

    [Fact]
    public async Task Watch_LivesForAMinuteBetweenTwoOutages_TheSecondBeginsWithShortPauses()
    {
        var cut = new TaskCompletionSource();
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10), Fails(500, "InternalError"), List(10), Fails(500, "InternalError"), List(10), Break(cut.Task, Event("ADDED", "a", 11)),
            List(11), Fails(500, "InternalError"), List(11), Open(Event("ADDED", "b", 12)));
        _ = await harness.SitOutBackoffAsync(FirstBackoff);
        _ = await harness.SitOutBackoffAsync(FirstBackoff * 2);
        Assert.Equal(["begin", "end 10", "Added a"], await harness.Sink.NextAsync(3));
        harness.Time.Advance(TimeSpan.FromMinutes(1));
        cut.SetResult();
        _ = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal("Added b", await harness.Sink.NextAsync());
    }

    [Fact]
    public async Task Watch_ExpiredThenListExpired_AsksForTheNewestAtOnce()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10), Watch(Error(410, "Expired")), Fails(410, "Expired"), List(50));
        Assert.Equal(["begin", "end 10"], await harness.Sink.NextAsync(2));
        _ = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal(["begin", "abort", "begin", "end 50"], await harness.Sink.NextAsync(4));
        Assert.Equal(["list rv=10", "list limit=500"], harness.Calls.Skip(2).Take(2));
    }

    [Fact]
    public async Task Watch_Throttled_BacksOffInPlaceAsLongAsAsked()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10),
            context =>
            {
                context.Response.Headers.RetryAfter = "7";
                return Support.ScriptedAnswers.JsonAsync(context, "Too many requests", 429, "text/plain");
            },
            Fails(429, "TooManyRequests"),
            Open());
        Assert.Equal(["begin", "end 10"], await harness.Sink.NextAsync(2));
        Assert.Equal(KubeErrorKind.Throttled, (await harness.SitOutBackoffAsync(TimeSpan.FromSeconds(7))).Error!.Kind);
        _ = await harness.SitOutBackoffAsync(FirstBackoff * 2);
        await harness.Api.CallsAsync(4);
        Assert.Equal(["list limit=500 rv=0", "watch rv=10", "watch rv=10", "watch rv=10"], harness.Calls);
    }

    [Theory]
    [InlineData(401, "Unauthorized", KubeErrorKind.Unauthorized)]
    [InlineData(403, "Forbidden", KubeErrorKind.Forbidden)]
    public async Task Watch_Denied_IsReportedAndGoesOnFromTheSameRevision(int code, string reason, KubeErrorKind kind)
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10), Fails(code, reason), Fails(code, reason), Open(Event("ADDED", "a", 11)));
        Assert.Equal(["begin", "end 10"], await harness.Sink.NextAsync(2));
        Assert.Equal(kind, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        ReflectorStatus second = await harness.SitOutBackoffAsync(FirstBackoff * 2);
        Assert.Equal(2, second.Failures);
        Assert.NotNull(second.FailingSince);
        Assert.Equal("Added a", await harness.Sink.NextAsync());
        Assert.Null(harness.Reflector.Status.Error);
        Assert.Equal(["watch rv=10", "watch rv=10", "watch rv=10"], harness.Calls.Skip(1));
    }

    [Fact]
    public async Task Watch_InternalErrors_AreRetriedInPlaceAndThenListed()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10), Watch(Error(500, "InternalError")), Watch(Error(500, "InternalError")), Watch(Error(500, "InternalError")),
            Watch(Error(500, "InternalError")), Watch(Error(500, "InternalError")), List(12), Open());
        for (int i = 0; i < 5; i++)
        {
            _ = await harness.SitOutBackoffAsync(FirstBackoff * (1 << i));
        }

        Assert.Equal(["begin", "end 10", "begin", "end 12"], await harness.Sink.NextAsync(4));
        Assert.Equal("list rv=10", harness.Calls.ElementAt(6));
    }

    [Fact]
    public async Task Watch_KindVanishes_IsReportedAndTriedSlowly()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10, "a"), Watch(Event("DELETED", "a", 11)), Fails(404, "NotFound"), Fails(404, "NotFound"), List(20, "b"));
        Assert.Equal(["begin", "item a", "end 10", "Deleted a"], await harness.Sink.NextAsync(4));
        Assert.True((await harness.SitOutBackoffAsync(FirstBackoff)).Vanished);
        Assert.True((await harness.SitOutBackoffAsync(FirstBackoff * 2)).Vanished);
        Assert.Equal(["begin", "abort", "begin", "item b", "end 20"], await harness.Sink.NextAsync(5));
        Assert.False((await harness.StatusAsync(s => s.Phase == ReflectorPhase.Watching)).Vanished);
        Assert.Equal(["list rv=11", "list rv=11"], harness.Calls.Skip(3).Take(2));
    }

    [Theory]
    [InlineData("garbage\n")]
    [InlineData("{\"type\":\"ADDED\",\"object\":{\"kind\":\"Table\",\"rows\":[]}}\n")]
    [InlineData("{\"type\":\"ADDED\",\"object\":{\"metadata\":{}}}\n")]
    public async Task Watch_WrongFrame_IsAProtocolErrorAndListed(string frame)
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, List(10), Open(frame), List(12));
        Assert.Equal(["begin", "end 10"], await harness.Sink.NextAsync(2));
        Assert.Equal(KubeErrorKind.Protocol, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        Assert.Equal(["begin", "end 12"], await harness.Sink.NextAsync(2));
    }

    [Fact]
    public async Task Watch_BreaksInTheMiddleOfAnEvent_GoesOnFromTheLastWholeOne()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(10), Watch(Event("ADDED", "a", 11) + Event("ADDED", "b", 12)[..30]), List(40), Open(Event("ADDED", "b", 12)));
        Assert.Equal(["begin", "end 10", "Added a", "Added b"], await harness.Sink.NextAsync(4));
        Assert.Equal(["watch rv=10", "list limit=1", "watch rv=11"], harness.Calls.Skip(1));
    }

    [Fact]
    public async Task Watch_ServerRestoredFromBackup_IsNoticedAfterTheBreakAndListedAnew()
    {
        var cut = new TaskCompletionSource();
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(500, "a"), Break(cut.Task, Event("ADDED", "b", 501)), List(300), List(300, "a"));
        Assert.Equal(["begin", "item a", "end 500", "Added b"], await harness.Sink.NextAsync(4));
        cut.SetResult();
        _ = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal(["begin", "item a", "end 300"], await harness.Sink.NextAsync(3));
        await harness.Api.CallsAsync(5);
        Assert.Equal(["watch rv=500", "list limit=1", "list limit=500", "watch rv=300"], harness.Calls.Skip(1));
    }

    [Fact]
    public async Task Watch_ServerThatCannotTellItsRevisionYet_IsAskedUntilItCan()
    {
        var cut = new TaskCompletionSource();
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(500), Break(cut.Task, Bookmark(501)), Fails(503, "ServiceUnavailable"), List(300), List(300, "a"));
        Assert.Equal(["begin", "end 500", "bookmark 501"], await harness.Sink.NextAsync(3));
        cut.SetResult();
        Assert.Equal(KubeErrorKind.ServerError, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        _ = await harness.SitOutBackoffAsync(FirstBackoff * 2);
        Assert.Equal(["begin", "item a", "end 300"], await harness.Sink.NextAsync(3));
        Assert.Equal(["watch rv=500", "list limit=1", "list limit=1", "list limit=500"], harness.Calls.Skip(1).Take(4));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Watch_RevisionGoesBackwards_ListsTheNewest(bool bookmark)
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null,
            List(500), Open(bookmark ? Bookmark(300) : Event("ADDED", "a", 300)), List(301, "a"));
        Assert.Equal(["begin", "end 500"], await harness.Sink.NextAsync(2));
        _ = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal(["begin", "item a", "end 301"], await harness.Sink.NextAsync(3));
        Assert.Equal("list limit=500", harness.Calls.ElementAt(2));
    }

    [Fact]
    public async Task Watch_ClosedAtOnceAgainAndAgain_BacksOffAndFinallyLists()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, List(10), Watch(), Watch(), Watch(), Watch(), Watch(), List(11));
        for (int i = 0; i < 5; i++)
        {
            _ = await harness.SitOutBackoffAsync(FirstBackoff * (1 << i));
        }

        Assert.Equal(["begin", "end 10", "begin", "end 11"], await harness.Sink.NextAsync(4));
        Assert.Equal(5, harness.Calls.Count(call => call == "watch rv=10"));
    }

    [Fact]
    public async Task Watch_SilentPastItsTimeout_IsCutAndOpenedAgain()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, List(10), Open(), List(10), Open(Event("ADDED", "a", 11)));
        _ = await harness.StatusAsync(s => s.Phase == ReflectorPhase.Watching);
        harness.Time.Advance(TimeSpan.FromSeconds(329));
        Assert.Equal(2, harness.Api.Calls.Count);
        harness.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["begin", "end 10", "Added a"], await harness.Sink.NextAsync(3));
        Assert.Equal(["watch rv=10", "list limit=1", "watch rv=10"], harness.Calls.Skip(1));
        Assert.Contains("timeoutSeconds=300", harness.Api.Calls[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Watch_BookmarksStopComing_IsCutEarly()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, List(10), Open(Bookmark(11), Bookmark(12)), List(12), Open(Event("ADDED", "a", 13)));
        Assert.Equal(["begin", "end 10", "bookmark 11", "bookmark 12"], await harness.Sink.NextAsync(4));
        Assert.True((await harness.StatusAsync(s => s.Bookmarks)).Bookmarks);
        harness.Time.Advance(TimeSpan.FromSeconds(194));
        Assert.Equal(2, harness.Api.Calls.Count);
        harness.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("Added a", await harness.Sink.NextAsync());
        Assert.Equal("watch rv=12", harness.Calls.Last());
    }

    [Fact]
    public async Task RetryNow_WhileBackingOff_TriesAtOnce()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(null, Fails(500, "InternalError"), List(10));
        _ = await harness.StatusAsync(s => s.Phase == ReflectorPhase.BackingOff);
        harness.Reflector.RetryNow();
        Assert.Equal(["begin", "abort", "begin", "end 10"], await harness.Sink.NextAsync(4));
    }

    [Fact]
    public async Task Run_GateOfLists_IsHeldForTheListOnly()
    {
        var gate = new ListGate(1, Timeout.InfiniteTimeSpan);
        IDisposable place = await gate.EnterAsync(CancellationToken.None);
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(o => o with { ListGates = [gate] }, List(10), Open());
        _ = await harness.StatusAsync(s => s.Phase == ReflectorPhase.Queued);
        Assert.Empty(harness.Api.Calls);
        place.Dispose();
        Assert.Equal(["begin", "end 10"], await harness.Sink.NextAsync(2));
        _ = await harness.StatusAsync(s => s.Phase == ReflectorPhase.Watching);
        Assert.Equal(1, gate.Free);
    }

    [Fact]
    public async Task Run_SelectorsAndMetadataOnly_AreAskedFor()
    {
        await using ReflectorHarness harness = await ReflectorHarness.StartAsync(
            o => o with { Namespace = "demo", LabelSelector = "a in (b,c)", FieldSelector = "x=y", MetadataOnly = true }, List(10));
        await harness.Api.CallsAsync(2);
        Assert.All(harness.Api.Calls, call => Assert.StartsWith("GET /api/v1/namespaces/demo/pods?", call, StringComparison.Ordinal));
        Assert.All(harness.Api.Calls, call => Assert.EndsWith("&labelSelector=a%20in%20%28b%2Cc%29&fieldSelector=x%3Dy", call, StringComparison.Ordinal));
    }
}
