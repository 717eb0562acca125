using System.IO.Compression;
using System.Text;
using Microsoft.AspNetCore.Http;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.TestSupport;

namespace MultiCluster.Kubernetes.Tests.Transport;

/// <summary>Servers whose answers have no end: each kind of answer has a bound, and all of them together have one.</summary>
public sealed class AnswerLimitTests
{
    private const int MiB = 1024 * 1024;

    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Answer_WithoutEnd_IsCutAtTheBoundOfItsKind(bool compressed)
    {
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => compressed ? BombAsync(context) : EndlessAsync(context));
        await using var client = new KubeClient(api.Connection);

        ProbeResult probe = await client.ProbeAsync(Soon).WaitAsync(Soon);
        Assert.Equal(ProbeOutcome.NotKubernetes, probe.Outcome);
        AssertTooLarge(probe.Error!, "/readyz is larger than 64 KiB", "MaxProbeBytes");
        AssertTooLarge(await FailureAsync(client.GetVersionAsync()), "/version is larger than 64 KiB", "MaxProbeBytes");
        AssertTooLarge(await FailureAsync(client.WhoAmIAsync()), "selfsubjectreviews is larger than 512 KiB", "MaxReviewBytes");
        AssertTooLarge(await FailureAsync(client.GetRulesAsync()), "selfsubjectrulesreviews is larger than 512 KiB", "MaxReviewBytes");
        AssertTooLarge(await FailureAsync(client.CanIAsync(new AccessQuestion("list", "", "pods"))), "selfsubjectaccessreviews is larger than 512 KiB", "MaxReviewBytes");
        AssertTooLarge(await FailureAsync(client.GetClusterUidAsync()), "kube-system is larger than 512 KiB", "MaxReviewBytes");
        AssertTooLarge(await FailureAsync(new DiscoveryReader(client).ReadAsync()), "is larger than 8 MiB", "MaxDiscoveryBytes");
    }

    [Fact]
    public async Task Discovery_OfMoreKindsThanAnyClusterHas_IsAProtocolError()
    {
        string kinds = string.Join(',', Enumerable.Range(0, 10_001).Select(i => $$"""{"resource":"k{{i}}","verbs":["list"]}"""));
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) => context.JsonAsync(
            $$"""{"kind":"APIGroupDiscoveryList","items":[{"metadata":{"name":"x.dev"},"versions":[{"version":"v1","resources":[{{kinds}}]}]}]}"""));
        await using var client = new KubeClient(api.Connection);

        KubeError error = await FailureAsync(new DiscoveryReader(client).ReadAsync());

        Assert.Equal(KubeErrorKind.Protocol, error.Kind);
        Assert.Contains("10001 kinds", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Answers_OfOneCluster_LeaveRoomForThoseOfOthers()
    {
        var time = new ManualTimeProvider();
        KubeClientOptions options = Bounds(all: 2 * MiB, one: MiB);
        var budget = new AnswerBudget(options, time);
        await using ScriptedApi sick = await ScriptedApi.StartAsync((context, api) => context.Request.Path == "/readyz" ? context.JsonAsync("ok") : HangAsync(context, api.Stopping));
        await using ScriptedApi well = await ScriptedApi.StartAsync((context, _) => LargeAsync(context));
        await using var sickClient = new KubeClient(sick.Connection, options, time, budget);
        await using var wellClient = new KubeClient(well.Connection, options, time, budget);

        // Each has its deadline, and one of the two waits for room.
        Task<KubeResponse>[] hanging = [sickClient.GetAsync("/1"), sickClient.GetAsync("/2")];
        await time.TimerArmed(3).WaitAsync(Soon);
        Assert.Equal(ProbeOutcome.Healthy, (await sickClient.ProbeAsync().WaitAsync(Soon)).Outcome);
        using (KubeResponse answer = await wellClient.GetAsync("/large").WaitAsync(Soon))
        {
            Assert.Equal(MiB, answer.Body.Length);
            Assert.Equal(2 * (MiB - AnswerBudget.FreeBytes), budget.Held);
        }

        time.Advance(options.MaxHeldWait);
        KubeError waited = await FailureAsync(await Task.WhenAny(hanging).WaitAsync(Soon));
        Assert.Equal((KubeErrorKind.Throttled, KubeErrorReasons.HeldLimit), (waited.Kind, waited.Reason));
        Assert.Contains("MaxHeldBytesPerCluster", waited.Message, StringComparison.Ordinal);
        time.Advance(options.RequestTimeout);
        KubeError hung = await FailureAsync(hanging.Single(task => task.Exception?.InnerException is not KubeException { Kind: KubeErrorKind.Throttled }));
        Assert.Equal(KubeErrorKind.Timeout, hung.Kind);
        Assert.Equal(0, budget.Held);
    }

    [Fact]
    public async Task Answers_OfAllClusters_WaitInOrderForRoom()
    {
        var time = new ManualTimeProvider();
        KubeClientOptions options = Bounds(all: MiB, one: MiB);
        var budget = new AnswerBudget(options, time);
        var release = new TaskCompletionSource();
        await using ScriptedApi slow = await ScriptedApi.StartAsync((context, _) => LargeAsync(context, release.Task));
        await using ScriptedApi quick = await ScriptedApi.StartAsync((context, _) => LargeAsync(context));
        await using var slowClient = new KubeClient(slow.Connection, options, time, budget);
        await using var quickClient = new KubeClient(quick.Connection, options, time, budget);

        Task<KubeResponse>[] first = [slowClient.GetAsync("/1"), slowClient.GetAsync("/2")];
        await time.TimerArmed(3).WaitAsync(Soon);
        Task<KubeResponse> last = quickClient.GetAsync("/3");
        await time.TimerArmed(5).WaitAsync(Soon);
        release.SetResult();
        Task<KubeResponse> soonest = await Task.WhenAny(first).WaitAsync(Soon);
        Assert.False(last.IsCompleted);
        (await soonest).Dispose();
        (await first.Single(task => task != soonest).WaitAsync(Soon)).Dispose();
        (await last.WaitAsync(Soon)).Dispose();
        Assert.Equal(0, budget.Held);

        Task<KubeResponse> holding = quickClient.GetAsync("/4");
        using (await holding.WaitAsync(Soon))
        {
            int armed = time.ArmedCount;
            Task<KubeResponse> waiting = slowClient.GetAsync("/5");
            await time.TimerArmed(armed + 2).WaitAsync(Soon);
            time.Advance(options.MaxHeldWait);
            KubeError error = await FailureAsync(waiting);
            Assert.Equal((KubeErrorKind.Throttled, KubeErrorReasons.HeldLimit), (error.Kind, error.Reason));
            Assert.Contains("(MaxHeldBytes)", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task LivePage_HoldsItsItemsUntilItIsDisposed()
    {
        KubeClientOptions options = Bounds(all: 4 * MiB, one: 4 * MiB);
        var budget = new AnswerBudget(options);
        string item = $$"""{"metadata":{"name":"a"},"data":"{{new string('x', MiB)}}"}""";
        await using ScriptedApi api = await ScriptedApi.StartAsync((context, _) =>
            context.JsonAsync($$"""{"kind":"List","metadata":{"resourceVersion":"1"},"items":[{{item}},{{item}}]}"""));
        await using var client = new KubeClient(api.Connection, options, null, budget);
        var query = new LiveListQuery(new ResourceType("", "v1", "configmaps", "ConfigMap", true));

        using (LivePage page = await client.ListAsync(query).WaitAsync(Soon))
        {
            Assert.Equal(2, page.Items.Count);
            Assert.InRange(budget.Held, 2 * MiB - AnswerBudget.FreeBytes, 4 * MiB);
        }

        Assert.Equal(0, budget.Held);
    }

    private static KubeClientOptions Bounds(int all, int one) => new() { MaxResponseBytes = MiB, MaxHeldBytes = all, MaxHeldBytesPerCluster = one };

    private static async Task<KubeError> FailureAsync<T>(Task<T> call) => (await Assert.ThrowsAsync<KubeException>(() => call.WaitAsync(Soon))).Error;

    private static void AssertTooLarge(KubeError error, string what, string setting)
    {
        Assert.Equal((KubeErrorKind.Protocol, KubeErrorReasons.AnswerTooLarge), (error.Kind, error.Reason));
        Assert.Contains(what, error.Message, StringComparison.Ordinal);
        Assert.Contains(setting, error.Message, StringComparison.Ordinal);
    }

    private static async Task EndlessAsync(HttpContext context)
    {
        byte[] piece = Encoding.UTF8.GetBytes(new string(' ', 64 * 1024));
        while (!context.RequestAborted.IsCancellationRequested)
        {
            await context.Response.Body.WriteAsync(piece, context.RequestAborted);
        }
    }

    private static async Task BombAsync(HttpContext context)
    {
        context.Response.Headers.ContentEncoding = "gzip";
        await using var gzip = new GZipStream(context.Response.Body, CompressionLevel.Fastest);
        byte[] piece = new byte[MiB];
        for (int i = 0; i < 32; i++)
        {
            await gzip.WriteAsync(piece, context.RequestAborted);
        }
    }

    private static async Task HangAsync(HttpContext context, CancellationToken stop)
    {
        context.Response.ContentLength = MiB;
        await context.Response.Body.FlushAsync(stop);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stop, context.RequestAborted);
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, either.Token);
    }

    private static async Task LargeAsync(HttpContext context, Task? release = null)
    {
        context.Response.ContentLength = MiB;
        await context.Response.Body.FlushAsync(context.RequestAborted);
        await (release ?? Task.CompletedTask).WaitAsync(context.RequestAborted);
        await context.Response.Body.WriteAsync(new byte[MiB], context.RequestAborted);
    }
}
