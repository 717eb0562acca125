using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Watching;
using static MultiCluster.Kubernetes.Tests.Watching.Answers;

namespace MultiCluster.Kubernetes.Tests.Watching;

public sealed class WatchListTests
{
    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(800);

    [Fact]
    public async Task Run_ServerStreamsLists_OneRequestIsListAndWatch()
    {
        await using ReflectorHarness harness = await StartAsync(
            Open(Event("ADDED", "a", 5), Event("ADDED", "b", 3), Bookmark(8), Bookmark(10, ends: true) + Event("ADDED", "c", 11), Event("DELETED", "a", 12)));
        Assert.Equal(["begin", "item a", "item b", "end 10", "Added c", "Deleted a"], await harness.Sink.NextAsync(6));
        Assert.Equal(["stream rv="], harness.Calls);
        Assert.Equal((1, 1, "12"), (harness.Reflector.Status.Lists, harness.Reflector.Status.Watches, harness.Reflector.Status.ResourceVersion));
        Assert.Contains("resourceVersionMatch=NotOlderThan", harness.Api.Calls[0], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_ChangesOvertakeTheEndMark_AreAppliedAfterTheList()
    {
        await using ReflectorHarness harness = await StartAsync(
            Open(Event("ADDED", "a", 5), Event("DELETED", "a", 9), Event("ADDED", "a", 10), Bookmark(10, ends: true)));
        Assert.Equal(["begin", "item a", "end ", "Deleted a", "Added a", "bookmark 10"], await harness.Sink.NextAsync(6));
    }

    [Fact]
    public async Task Run_FeatureOff_UsesPagesAndIsNotAskedAgain()
    {
        await using ReflectorHarness harness = await StartAsync(
            Fails(422, "Invalid"), List(10), Watch(Error(410, "Expired")), List(12));
        Assert.Equal(["begin", "abort", "begin", "end 10"], await harness.Sink.NextAsync(4));
        _ = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal(["begin", "end 12"], await harness.Sink.NextAsync(2));
        Assert.Equal(["stream rv=", "list limit=500 rv=0", "watch rv=10", "list rv=10"], harness.Calls.Take(4));
        Assert.True(harness.Client.Features.WatchListRefused);
    }

    [Theory]
    [InlineData(false, false, "list rv=10")]
    [InlineData(true, false, "stream rv=10")]
    [InlineData(false, true, "stream rv=10")]
    public async Task Run_FeatureOff_IsAskedAgainAfterAnUpgradeOrHours(bool isUpgraded, bool takesHours, string nextList)
    {
        var expire = new TaskCompletionSource();
        await using ReflectorHarness harness = await StartAsync(Fails(422, "Invalid"), List(10), async context =>
        {
            await context.Response.Body.FlushAsync();
            await expire.Task.WaitAsync(TimeSpan.FromSeconds(10));
            await Watch(Error(410, "Expired"))(context);
        });
        _ = await harness.StatusAsync(s => s.Synced);
        await harness.Api.CallsAsync(3);
        await ReadVersionAsync("v1.31.0");
        await ReadVersionAsync(isUpgraded ? "v1.32.0" : "v1.31.0");
        expire.SetResult();
        _ = await harness.SitOutBackoffAsync(takesHours ? TimeSpan.FromHours(6) : FirstBackoff);
        await harness.Api.CallsAsync(6);

        Assert.Equal(nextList, harness.Calls.ElementAt(5));

        async Task ReadVersionAsync(string version)
        {
            harness.Answer(context => context.JsonAsync($$"""{"major":"1","minor":"32","gitVersion":"{{version}}"}"""));
            _ = await harness.Client.GetVersionAsync().WaitAsync(TimeSpan.FromSeconds(10));
        }
    }

    [Fact]
    public async Task Run_FeatureOff_IsNoFailure()
    {
        await using ReflectorHarness harness = await StartAsync(Fails(422, "Invalid"), List(10));
        _ = await harness.StatusAsync(s => s.Synced);
        Assert.All(harness.Statuses, status => Assert.Equal((0, null), (status.Failures, status.Error)));
    }

    [Fact]
    public async Task Run_ServerThatNeverMarksTheEnd_IsReadInPages()
    {
        await using ReflectorHarness harness = await StartAsync(Open(Event("ADDED", "a", 5)), List(10, "a"));
        Assert.Equal(["begin", "item a"], await harness.Sink.NextAsync(2));
        harness.Time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(["abort", "begin", "item a", "end 10"], await harness.Sink.NextAsync(4));
        Assert.True(harness.Client.Features.WatchListRefused);
    }

    [Fact]
    public async Task Run_StreamBreaksBeforeTheEndMark_KeepsWhatWasThere()
    {
        var cut = new TaskCompletionSource();
        await using ReflectorHarness harness = await StartAsync(Break(cut.Task, Event("ADDED", "a", 5)), List(10, "a"));
        Assert.Equal(["begin", "item a"], await harness.Sink.NextAsync(2));
        cut.SetResult();
        Assert.Equal("abort", await harness.Sink.NextAsync());
        Assert.Equal(KubeErrorKind.ConnectionRefused, (await harness.SitOutBackoffAsync(FirstBackoff)).Error!.Kind);
        Assert.Equal(["begin", "item a", "end 10"], await harness.Sink.NextAsync(3));
        Assert.False(harness.Client.Features.WatchListRefused);
    }

    [Fact]
    public async Task Run_WatchForbiddenButListAllowed_StillLists()
    {
        await using ReflectorHarness harness = await StartAsync(Fails(403, "Forbidden"), List(10, "a"), Fails(403, "Forbidden"));
        Assert.Equal(["begin", "abort", "begin", "item a", "end 10"], await harness.Sink.NextAsync(5));
        ReflectorStatus status = await harness.StatusAsync(s => s.Phase == ReflectorPhase.BackingOff);
        Assert.Equal((KubeErrorKind.Forbidden, true), (status.Error!.Kind, status.Synced));
    }

    [Fact]
    public async Task Run_StreamedListAgain_StartsFromTheLastRevision()
    {
        await using ReflectorHarness harness = await StartAsync(
            Watch(Event("ADDED", "a", 5), Bookmark(10, ends: true), Error(410, "Expired")), Open(Event("ADDED", "a", 5), Bookmark(20, ends: true)));
        Assert.Equal(["begin", "item a", "end 10"], await harness.Sink.NextAsync(3));
        _ = await harness.SitOutBackoffAsync(FirstBackoff);
        Assert.Equal(["begin", "item a", "end 20"], await harness.Sink.NextAsync(3));
        Assert.Equal(["stream rv=", "stream rv=10"], harness.Calls);
    }

    private static Task<ReflectorHarness> StartAsync(params Func<Microsoft.AspNetCore.Http.HttpContext, Task>[] answers) =>
        ReflectorHarness.StartAsync(o => o with { WatchList = WatchListMode.Auto }, answers);
}
