using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using MultiCluster.Simulator.Hosting;
using MultiCluster.V1;

namespace MultiCluster.Gateway.Tests.EndToEnd;

/// <summary>gRPC over the whole service and real (simulated) members, through the client channel.</summary>
public sealed class GrpcSurfaceTests : IAsyncLifetime
{
    private ServiceUnderTest _service = null!;
    private SimulatedCluster _eu = null!;
    private SimulatedCluster _us = null!;
    private ClusterService.ClusterServiceClient _clusters = null!;
    private ResourceService.ResourceServiceClient _resources = null!;

    private Metadata Admin => new() { { "authorization", $"Bearer {_service.Service.Token.Value}" } };

    public async Task InitializeAsync()
    {
        _service = await ServiceUnderTest.StartAsync();
        _clusters = new ClusterService.ClusterServiceClient(_service.Grpc);
        _resources = new ResourceService.ResourceServiceClient(_service.Grpc);
        _eu = await Members.StartAsync("eu-1");
        _us = await Members.StartAsync("us-1");
        foreach (SimulatedCluster member in (SimulatedCluster[])[_eu, _us])
        {
            RegisterClusterResponse answer = await _clusters.RegisterClusterAsync(Registration(member.Options.Name, member), Admin, Soon);
            Assert.True(answer.Checks.Authenticated);
        }

        await _service.UntilSyncedAsync("pods", 6);
    }

    public async Task DisposeAsync()
    {
        await _service.DisposeAsync();
        await _eu.DisposeAsync();
        await _us.DisposeAsync();
    }

    [Fact]
    public async Task List_PageByPage_AnswersEveryObjectOnce()
    {
        List<V1.Object> all = [];
        var request = new ListRequest { Query = new ObjectQuery { Kind = "pods" }, Limit = 4 };
        do
        {
            ListResponse page = await _resources.ListAsync(request, Admin, Soon);
            all.AddRange(page.Objects);
            request.Continue = page.Continue;
        }
        while (request.Continue.Length > 0);

        Assert.Equal(["eu-1-pod-0", "eu-1-pod-1", "eu-1-pod-2", "us-1-pod-0", "us-1-pod-1", "us-1-pod-2"], all.Select(o => o.Name));
        Assert.All(all, o => Assert.StartsWith("{", o.Json.ToStringUtf8(), StringComparison.Ordinal));
    }

    public static TheoryData<ListRequest, string> Wrong => new()
    {
        { new ListRequest { Deadline = new Duration { Seconds = long.MaxValue } }, "deadline" },
        { new ListRequest { Deadline = new Duration { Seconds = long.MinValue } }, "deadline" },
        { new ListRequest { Deadline = new Duration { Nanos = int.MinValue } }, "deadline" },
        { new ListRequest { Deadline = new Duration { Seconds = -1 } }, "deadline" },
        { new ListRequest { Source = (Source)99 }, "source" },
        { new ListRequest { Projection = (Projection)99 }, "projection" },
        { new ListRequest { Query = new ObjectQuery { Readiness = { (Readiness)99 } } }, "query.readiness" },
        { new ListRequest { Query = new ObjectQuery { Kind = new string('\u0001', 1_000_000) } }, "query.kind" },
        { new ListRequest { Query = new ObjectQuery { Namespaces = { Enumerable.Repeat(new string('A', 1000), 1000) } } }, "query.namespaces" },
        { new ListRequest { Clusters = new ClusterSelection { LabelSelector = new string('a', 8000) } }, "clusters.label_selector" },
        { new ListRequest { Clusters = new ClusterSelection { LabelSelector = new string('a', 1_000_000) } }, "clusters.label_selector" },
    };

    [Theory]
    [MemberData(nameof(Wrong), DisableDiscoveryEnumeration = true)]
    public async Task List_ValuesThatNobodySends_AreInvalidArgumentsInFewWords(ListRequest request, string field)
    {
        request.Query ??= new ObjectQuery();
        request.Query.Kind = request.Query.Kind.Length == 0 ? "pods" : request.Query.Kind;

        RpcException error = await Assert.ThrowsAsync<RpcException>(async () => await _resources.ListAsync(request, Admin, Soon));

        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        Assert.StartsWith($"{field}: ", error.Status.Detail, StringComparison.Ordinal);
        Assert.InRange(error.Status.Detail.Length, 1, 2000);
    }

    [Fact]
    public async Task Watch_FromAList_ShowsTheChange()
    {
        ListResponse list = await _resources.ListAsync(new ListRequest { Query = new ObjectQuery { Kind = "pods" } }, Admin, Soon);
        using AsyncServerStreamingCall<WatchResponse> watch = _resources.Watch(
            new WatchRequest { Query = new ObjectQuery { Kind = "pods" }, Revision = list.Revision }, Admin, Soon);
        _us.Objects.Create(Members.Pod("late"));

        await foreach (WatchResponse message in watch.ResponseStream.ReadAllAsync())
        {
            if (message.Type == WatchResponse.Types.Type.Added && message.Object.Name == "late")
            {
                Assert.Equal("us-1", message.Object.Cluster);
                return;
            }
        }

        Assert.Fail("The watch ended without the pod.");
    }

    [Fact]
    public async Task Watch_ClusterIsRemoved_ItsObjectsAreDeletedAndThenItIsGone()
    {
        using AsyncServerStreamingCall<WatchResponse> watch = _resources.Watch(
            new WatchRequest { Query = new ObjectQuery { Kind = "pods" }, Projection = Projection.None, BookmarkEvery = new Duration { Seconds = 1 } }, Admin, Soon);
        await UntilAsync(watch, WatchResponse.Types.Type.Synced);

        await _clusters.RemoveClusterAsync(new RemoveClusterRequest { Name = "us-1" }, Admin, Soon);
        List<WatchResponse> messages = await UntilAsync(watch, WatchResponse.Types.Type.Gone);

        Assert.Equal("us-1", messages[^1].Cluster);
        Assert.Equal(
            ["us-1-pod-0", "us-1-pod-1", "us-1-pod-2"],
            messages.Where(m => m.Type == WatchResponse.Types.Type.Deleted).Select(m => m.Object.Name).Order(StringComparer.Ordinal));
        await UntilAsync(watch, WatchResponse.Types.Type.Bookmark);
    }

    [Fact]
    public async Task Watch_BookmarkIntervalOutOfRange_IsInvalidArgument()
    {
        using AsyncServerStreamingCall<WatchResponse> watch = _resources.Watch(
            new WatchRequest { Query = new ObjectQuery { Kind = "pods" }, BookmarkEvery = new Duration { Seconds = 61 } }, Admin, Soon);

        RpcException error = await Assert.ThrowsAsync<RpcException>(async () => await watch.ResponseStream.MoveNext(CancellationToken.None));

        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        Assert.StartsWith("bookmark_every: ", error.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Count_ByClusterAndPhase_Sums()
    {
        CountResponse counts = await _resources.CountAsync(
            new CountRequest { Query = new ObjectQuery { Kind = "po" }, GroupBy = { GroupBy.Cluster, GroupBy.Phase } }, Admin, Soon);

        Assert.Equal(6, counts.Total);
        Assert.All(counts.Groups, g => Assert.Equal(2, g.Values.Count));
    }

    [Fact]
    public async Task WatchClusters_Update_IsShown()
    {
        using AsyncServerStreamingCall<WatchClustersResponse> watch = _clusters.WatchClusters(new WatchClustersRequest { Names = { "eu-1" } }, Admin, Soon);
        await watch.ResponseStream.MoveNext(CancellationToken.None);
        Assert.Equal(WatchClustersResponse.Types.Type.Added, watch.ResponseStream.Current.Type);

        await _clusters.UpdateClusterAsync(
            new UpdateClusterRequest { Name = "eu-1", Labels = new UpdateClusterRequest.Types.Labels { Values = { ["tier"] = "prod" } } }, Admin, Soon);

        while (!watch.ResponseStream.Current.Cluster?.Labels.ContainsKey("tier") ?? true)
        {
            Assert.True(await watch.ResponseStream.MoveNext(CancellationToken.None));
        }
    }

    [Fact]
    public async Task ReplaceCredentials_UnderARunningWatch_LosesNoEvent()
    {
        _eu.AddUser(new SimulatedUser("second", "token-number-two", "system:masters"));
        using AsyncServerStreamingCall<WatchResponse> watch = _resources.Watch(new WatchRequest { Query = new ObjectQuery { Kind = "configmaps", Names = { "seen-*" } } }, Admin, Soon);
        Task<List<string>> seen = CollectAsync(watch, 20);
        for (int i = 0; i < 20; i++)
        {
            _eu.Objects.Create(Members.ConfigMap($"seen-{i:00}", "x"));
            if (i == 10)
            {
                await _clusters.ReplaceCredentialsAsync(
                    new ReplaceCredentialsRequest
                    {
                        Name = "eu-1",
                        Connection = new Connection { Kubeconfig = new Connection.Types.Kubeconfig { Yaml = ByteString.CopyFromUtf8(_eu.KubeconfigYaml("token-number-two")) } },
                    },
                    Admin, Soon);
                _eu.RevokeToken(_eu.AdminToken);
            }
        }

        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"seen-{i:00}"), (await seen.WaitAsync(ServiceUnderTest.Patience)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Call_WithoutTheToken_IsUnauthenticated()
    {
        RpcException error = await Assert.ThrowsAsync<RpcException>(async () => await _resources.ListAsync(new ListRequest(), deadline: Soon));

        Assert.Equal(StatusCode.Unauthenticated, error.StatusCode);
    }

    [Fact]
    public async Task Call_Wrong_IsInvalidArgumentAndNamesTheField()
    {
        RpcException error = await Assert.ThrowsAsync<RpcException>(async () =>
            await _resources.ListAsync(new ListRequest { Query = new ObjectQuery { Kind = "pods", LabelSelector = "a in b" } }, Admin, Soon));

        Assert.Equal(StatusCode.InvalidArgument, error.StatusCode);
        Google.Rpc.BadRequest fields = error.GetRpcStatus()!.Details[0].Unpack<Google.Rpc.BadRequest>();
        Assert.Equal("query.label_selector", fields.FieldViolations[0].Field);
    }

    [Fact]
    public async Task Register_WrongToken_FailsTheChecksAndRegistersNothing()
    {
        RegisterClusterRequest request = Registration("wrong", _eu);
        request.Connection = new Connection { Kubeconfig = new Connection.Types.Kubeconfig { Yaml = ByteString.CopyFromUtf8(_eu.KubeconfigYaml("not-a-token")) } };

        RpcException error = await Assert.ThrowsAsync<RpcException>(async () => await _clusters.RegisterClusterAsync(request, Admin, Soon));
        ListClustersResponse clusters = await _clusters.ListClustersAsync(new ListClustersRequest(), Admin, Soon);

        Assert.Equal(StatusCode.FailedPrecondition, error.StatusCode);
        Assert.DoesNotContain("not-a-token", error.Message, StringComparison.Ordinal);
        Assert.Equal(2, clusters.Clusters.Count);
    }

    [Fact]
    public async Task Register_DryRun_ChecksAndChangesNothing()
    {
        RegisterClusterRequest request = Registration("maybe", _eu);
        request.DryRun = true;

        RegisterClusterResponse answer = await _clusters.RegisterClusterAsync(request, Admin, Soon);
        ListClustersResponse clusters = await _clusters.ListClustersAsync(new ListClustersRequest(), Admin, Soon);

        Assert.Null(answer.Cluster);
        Assert.True(answer.Checks.Reachable);
        Assert.Equal(2, clusters.Clusters.Count);
    }

    private static DateTime Soon => TimeProvider.System.GetUtcNow().UtcDateTime + ServiceUnderTest.Patience;

    private static RegisterClusterRequest Registration(string name, SimulatedCluster cluster) => new()
    {
        Name = name,
        Connection = new Connection { Kubeconfig = new Connection.Types.Kubeconfig { Yaml = ByteString.CopyFromUtf8(cluster.KubeconfigYaml()) } },
    };

    /// <summary>Everything up to and with the first message of a type; the call's deadline bounds it.</summary>
    private static async Task<List<WatchResponse>> UntilAsync(AsyncServerStreamingCall<WatchResponse> watch, WatchResponse.Types.Type type)
    {
        List<WatchResponse> messages = [];
        while (await watch.ResponseStream.MoveNext(CancellationToken.None))
        {
            messages.Add(watch.ResponseStream.Current);
            if (watch.ResponseStream.Current.Type == type)
            {
                return messages;
            }
        }

        throw new EndOfStreamException($"The watch ended before a message {type}; there were {string.Join(", ", messages.Select(m => m.Type))}.");
    }

    private static async Task<List<string>> CollectAsync(AsyncServerStreamingCall<WatchResponse> watch, int count)
    {
        List<string> seen = [];
        await foreach (WatchResponse message in watch.ResponseStream.ReadAllAsync())
        {
            if (message.Type == WatchResponse.Types.Type.Added)
            {
                seen.Add(message.Object.Name);
                if (seen.Count == count)
                {
                    break;
                }
            }
        }

        return seen;
    }
}
