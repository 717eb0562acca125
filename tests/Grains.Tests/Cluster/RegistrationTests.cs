using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Grains.Cluster;
using MultiCluster.Kubernetes.Configuration;
using MultiCluster.Reads;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Hosting;
using Orleans.Runtime;
using Orleans.Storage;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class RegistrationTests
{
    [Fact]
    public async Task Register_HealthyCluster_IsMirroredAndListed()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        member.Objects.Create("""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings","namespace":"shop"},"data":{"a":"b"}}""");
        await using FleetHost host = await FleetHost.StartAsync();

        RegistrationReply reply = await host.RegisterAsync("eu-1", member);

        Assert.Empty(reply.Faults);
        Assert.Equal(("eu-1", true, "admin"), (reply.Cluster!.Name, reply.Checks.Authenticated, reply.Checks.User));
        Assert.Empty(reply.Checks.MissingPermissions);
        Assert.NotEqual("", reply.Cluster.ServerIdentity);
        ClusterPage page = await host.UntilListedAsync("eu-1", "configmaps", page => page.Coverage.State == CoverageState.Ok);
        Assert.Contains("settings", FleetHost.NamesOf(page));
        ClusterSummary summary = await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 20 });
        Assert.StartsWith("v1.", summary.Version, StringComparison.Ordinal);
        Assert.Null(summary.Fault);
    }

    [Theory]
    [InlineData("wrong token", "Unauthorized")]
    [InlineData("wrong authority", "Tls")]
    [InlineData("plain http", "Protocol|ConnectionRefused|Tls|Invalid")]
    [InlineData("refused port", "ConnectionRefused")]
    [InlineData("unknown host", "NameResolution")]
    [InlineData("html", "Protocol")]
    [InlineData("half a document", "Protocol")]
    [InlineData("silence", "Timeout")]
    public async Task Register_SomethingElse_IsRefusedWithItsKindAndStoresNothing(string what, string kinds)
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using SimulatedCluster other = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Name = "other" });
        await using FleetHost host = await FleetHost.StartAsync(durable);
        ClusterConnection connection = FleetHost.ConnectionTo(member);
        switch (what)
        {
            case "wrong token": connection = connection with { Credentials = KubeCredentials.Bearer("not-the-token") }; break;
            case "wrong authority": connection = connection with { CertificateAuthorityPem = other.CertificateAuthorityPem }; break;
            case "plain http": connection = new ClusterConnection(new UriBuilder(member.Url) { Scheme = "http" }.Uri) { Credentials = connection.Credentials }; break;
            case "refused port": connection = new ClusterConnection(new Uri($"https://127.0.0.1:{FreePort()}")) { Credentials = connection.Credentials }; break;
            case "unknown host": connection = new ClusterConnection(new Uri("https://nowhere.invalid:6443")) { Credentials = connection.Credentials }; break;
            case "html": member.Faults.Add(new Fault(FaultKind.Html)); break;
            case "half a document": member.Faults.Add(new Fault(FaultKind.HalfDocument) { PathPrefix = "/version", Bytes = 20 }); break;
            case "silence": member.Faults.Add(new Fault(FaultKind.Silence)); break;
        }

        RegistrationReply reply = await host.RegisterAsync("eu-1", connection);

        ClusterFault fault = Assert.Single(reply.Faults);
        Assert.Contains(fault.Kind, kinds.Split('|'));
        Assert.NotEqual("", fault.Message);
        Assert.DoesNotContain("Exception", fault.Message, StringComparison.Ordinal);
        Assert.Null(reply.Cluster);
        Assert.Empty((await host.Fleet.GetAsync()).Clusters);
        Assert.Empty(durable.Records);
    }

    [Fact]
    public async Task Register_ForcedWhileUnreachable_ComesOnlineByItself()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await member.StopListeningAsync();
        await using FleetHost host = await FleetHost.StartAsync();

        RegistrationReply reply = await host.RegisterAsync("eu-1", FleetHost.ConnectionTo(member), force: true);

        Assert.NotNull(reply.Cluster);
        Assert.Equal("ConnectionRefused", Assert.Single(reply.Faults).Kind);
        ClusterSummary offline = await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Offline);
        Assert.Equal("ConnectionRefused", offline.Fault!.Kind);
        await member.StartListeningAsync();
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });
    }

    [Fact]
    public async Task Register_DryRun_ChecksAndStoresNothing()
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);

        RegistrationReply reply = await host.RegisterAsync("eu-1", FleetHost.ConnectionTo(member), dryRun: true);

        Assert.True(reply.Checks.Authenticated);
        Assert.Null(reply.Cluster);
        Assert.Empty(durable.Records);
    }

    [Fact]
    public async Task Register_NameTaken_IsRefused()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        RegistrationReply first = await host.RegisterAsync("eu-1", member);

        RegistrationReply second = await host.RegisterAsync("eu-1", member);

        Assert.Equal(ClusterFault.AlreadyRegistered, Assert.Single(second.Faults).Kind);
        Assert.Equal(first.Cluster!.Uid, Assert.Single((await host.Fleet.GetAsync()).Clusters).Uid);
    }

    [Fact]
    public async Task Register_SameServerUnderAnotherName_Warns()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();
        await host.RegisterAsync("eu-1", member);

        RegistrationReply second = await host.RegisterAsync("eu-2", member);

        Assert.NotNull(second.Cluster);
        Assert.Contains("eu-1", Assert.Single(second.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("EU-1", null, null, "name")]
    [InlineData("eu_1", null, null, "name")]
    [InlineData("-eu", null, null, "name")]
    [InlineData("eu-1", "bad key", null, "labels")]
    [InlineData("eu-1", null, "Pods!", "mirror.include")]
    public async Task Register_BadRequest_NamesTheField(string name, string? label, string? include, string field)
    {
        await using FleetHost host = await FleetHost.StartAsync();

        RegistrationReply reply = await host.Cluster(name).RegisterAsync(
            new RegisterCluster
            {
                Connection = host.Protect(new ClusterConnection(new Uri("https://127.0.0.1:1"))),
                Labels = label is null ? ImmutableSortedDictionary<string, string>.Empty : ImmutableSortedDictionary<string, string>.Empty.Add(label, ""),
                Mirror = include is null ? MirrorScope.Default : new MirrorScope { Include = [include] },
                Force = true,
            },
            CancellationToken.None).WaitAsync(FleetHost.Patience);

        ClusterFault fault = Assert.Single(reply.Faults);
        Assert.Equal((ClusterFault.InvalidRequest, field), (fault.Kind, fault.Field));
    }

    [Fact]
    public async Task Register_ConnectionOfOtherKeys_IsRefused()
    {
        await using FleetHost host = await FleetHost.StartAsync();

        RegistrationReply reply = await host.Cluster("eu-1").RegisterAsync(
            new RegisterCluster { Connection = new ProtectedConnection { Ciphertext = [1, 2, 3] }, Force = true }, CancellationToken.None).WaitAsync(FleetHost.Patience);

        Assert.Equal(ClusterFault.CredentialsUnreadable, Assert.Single(reply.Faults).Kind);
    }

    [Fact]
    public async Task Register_UserWithFewRights_ListsWhatIsMissingAndMirrorsTheRest()
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync();

        RegistrationReply reply = await host.RegisterAsync("eu-1", member, member.ReaderToken);

        Assert.Empty(reply.Faults);
        Assert.Equal("reader", reply.Checks.User);
        Assert.Contains("list clusterrolebindings.rbac.authorization.k8s.io", reply.Checks.MissingPermissions);
        Assert.DoesNotContain("list pods", reply.Checks.MissingPermissions);
        await host.UntilListedAsync("eu-1", "pods", page => page.Coverage.State == CoverageState.Ok);
        ClusterPage bindings = await host.UntilListedAsync("eu-1", "clusterrolebindings", page => page.Coverage.State == CoverageState.Forbidden);
        Assert.Equal("Forbidden", bindings.Coverage.Fault!.Kind);
        await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Online);
    }

    [Fact]
    public async Task Register_FleetTellsOfItBeforeItIsDone_WhoeverAsksFindsIt()
    {
        var durable = new DurableParts();
        var isTold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        durable.Writing = state =>
        {
            if (state != "fleet")
            {
                return Task.CompletedTask;
            }

            isTold.TrySetResult();
            return goOn.Task;
        };
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);

        Task<RegistrationReply> registering = host.RegisterAsync("eu-1", member);
        await isTold.Task.WaitAsync(FleetHost.Patience);
        Assert.Equal(CoverageState.Syncing, (await host.ListAsync("eu-1", "configmaps")).Coverage.State);
        await using var watch = new WatchReader(host, "eu-1", "configmaps", since: null);
        await watch.UntilAsync(seen => seen.InitialEnd);
        goOn.SetResult();

        Assert.NotNull((await registering).Cluster);
        await watch.UntilAsync(seen => seen.Changes.Any(change => change.Contains("kube-root-ca.crt", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Register_FleetHasLostItsState_IsAskedAgain()
    {
        var durable = new DurableParts();
        int writes = 0;
        durable.Writing = state => state == "fleet" && Interlocked.Increment(ref writes) == 1
            ? Task.FromException(new InconsistentStateException("Another activation has written."))
            : Task.CompletedTask;
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);

        Assert.NotNull((await host.RegisterAsync("eu-1", member)).Cluster);
        Assert.Equal("eu-1", Assert.Single((await host.Fleet.GetAsync()).Clusters).Name);
        Assert.Contains(host.Log, line => line.Contains("FleetAskedAgain", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Register_FleetCannotStoreIt_LeavesNothingBehind()
    {
        var durable = new DurableParts { FailWritesOf = "fleet" };
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);

        await Assert.ThrowsAnyAsync<Exception>(() => host.RegisterAsync("eu-1", member));

        Assert.Empty(durable.Records);
        durable.FailWritesOf = null;
        Assert.NotNull((await host.RegisterAsync("eu-1", member)).Cluster);
    }

    [Fact]
    public async Task Update_StoredWhileTheStoreEnded_IsFoundAndAppliedByItself_AndTheMirrorStays()
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);
        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });

        durable.LoseAnswersOf = "cluster";
        OrleansException lost = await Assert.ThrowsAsync<OrleansException>(() => LabelAsync("a"));
        Assert.Equal("The state of the cluster could not be stored: The connection ended.", lost.Message);
        Assert.Null(lost.InnerException);
        durable.LoseAnswersOf = null;

        await host.UntilAsync("eu-1", summary => summary.Generation == 2);
        Assert.Equal("a", Assert.Single((await host.Fleet.GetAsync()).Clusters).Labels["tier"]);
        Assert.Equal(3, (await LabelAsync("b")).Cluster!.Generation);
        Assert.Equal(CoverageState.Ok, (await host.ListAsync("eu-1", "namespaces")).Coverage.State);
        Assert.Single(host.Log, line => line.Contains("eu-1: Online, was Pending", StringComparison.Ordinal));

        Task<ClusterReply> LabelAsync(string tier) =>
            host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Labels = ImmutableSortedDictionary<string, string>.Empty.Add("tier", tier) });
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Update_StoreFailed_TheNextOneIsAcceptedAtOnce(bool wasStored)
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);
        await host.RegisterAsync("eu-1", member);

        (durable.LoseAnswersOf, durable.FailWritesOf) = wasStored ? ("cluster", null) : ((string?)null, "cluster");
        await Assert.ThrowsAsync<OrleansException>(() => host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Enabled = false }));
        (durable.LoseAnswersOf, durable.FailWritesOf) = (null, null);

        ClusterEntry after = (await host.Cluster("eu-1").UpdateAsync(new UpdateCluster { Labels = ImmutableSortedDictionary<string, string>.Empty.Add("tier", "a") })).Cluster!;
        Assert.Equal((wasStored ? 3 : 2, !wasStored), ((int)after.Generation, after.Enabled));
    }

    [Fact]
    public async Task Register_StoredWhileTheStoreEnded_DoesNotAppearByItself_AndCanBeTriedAgain()
    {
        var durable = new DurableParts { LoseAnswersOf = "cluster" };
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);
        await Assert.ThrowsAsync<OrleansException>(() => host.RegisterAsync("eu-1", member));
        Assert.NotEmpty(durable.Records);
        durable.LoseAnswersOf = null;

        Assert.NotNull((await host.RegisterAsync("eu-1", member)).Cluster);
        await host.UntilAsync("eu-1", summary => summary.Phase == ClusterPhase.Online);
    }

    [Fact]
    public async Task Remove_MarkedWhileTheStoreEnded_IsEndedByTheNextTry()
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);
        await host.RegisterAsync("eu-1", member);

        durable.LoseAnswersOf = "cluster";
        await Assert.ThrowsAsync<OrleansException>(() => host.Cluster("eu-1").RemoveAsync());
        durable.LoseAnswersOf = null;

        Assert.True((await host.Cluster("eu-1").RemoveAsync()).Fault is null or { Kind: ClusterFault.NotRegistered });
        Assert.Empty((await host.Fleet.GetAsync()).Clusters);
    }

    [Fact]
    public async Task Register_Always_NoSecretInLogOrStorage()
    {
        var durable = new DurableParts();
        await using SimulatedCluster member = await SimulatedCluster.StartAsync();
        await using FleetHost host = await FleetHost.StartAsync(durable);

        await host.RegisterAsync("eu-1", member);
        await host.UntilAsync("eu-1", summary => summary is { Phase: ClusterPhase.Online, KindsSyncing: 0, Kinds: > 0 });

        Assert.NotEmpty(host.Log);
        Assert.DoesNotContain(host.Log, line => line.Contains(member.AdminToken, StringComparison.Ordinal));
        Assert.Equal(2, durable.Records.Count());
        Assert.DoesNotContain(durable.Records, record => record.Contains(member.AdminToken, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Calls_UnregisteredName_AreAnsweredAsSuch()
    {
        await using FleetHost host = await FleetHost.StartAsync();

        Assert.Equal(ClusterFault.NotRegistered, (await host.ListAsync("nobody", "pods")).Coverage.Fault!.Kind);
        Assert.Equal(ClusterFault.NotRegistered, (await host.Cluster("nobody").UpdateAsync(new UpdateCluster())).Fault!.Kind);
        Assert.Equal(ClusterFault.NotRegistered, (await host.Cluster("nobody").RemoveAsync()).Fault!.Kind);
        Assert.Null((await host.Cluster("nobody").DescribeAsync()).Cluster);
        Assert.False(await host.Cluster("nobody").EnsureRunningAsync());
    }

    private static int FreePort()
    {
        using var socket = new TcpListener(IPAddress.Loopback, 0);
        socket.Start();
        return ((IPEndPoint)socket.LocalEndpoint).Port;
    }
}
