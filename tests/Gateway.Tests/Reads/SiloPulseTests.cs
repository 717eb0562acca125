using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Clusters;
using MultiCluster.Fleet;
using MultiCluster.Gateway.Reads;
using MultiCluster.TestSupport;
using Orleans.Runtime;

namespace MultiCluster.Gateway.Tests.Reads;

/// <summary>What the fleet shows of the clusters of a silo that is lost, though their last report is good.</summary>
public sealed class SiloPulseTests : IAsyncDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly FastTimeProvider _time = new(factor: 5);
    private readonly SimulatedFleet _fleet;
    private readonly SiloPulse _pulse;

    public SiloPulseTests()
    {
        _fleet = new SimulatedFleet(_time);
        foreach ((string cluster, string silo) in ((string, string)[])[("a1", "a"), ("a2", "a"), ("b1", "b")])
        {
            _fleet.Join(cluster).Silo = silo;
            _fleet.Report(cluster, ClusterPhase.Online, silo);
        }

        _pulse = new SiloPulse(name => _fleet[name], _fleet.View, _time, NullLogger.Instance);
    }

    [Fact]
    public async Task Pulse_SiloIsRefused_ItsClustersArePendingUntilTheyReportFromElsewhere()
    {
        await _pulse.StartAsync(CancellationToken.None);
        foreach (string cluster in (string[])["a1", "a2"])
        {
            _fleet[cluster].FailNext(new SiloUnavailableException("gone"), int.MaxValue);
        }

        await UntilAsync(view => Phase(view, "a1") == ClusterPhase.Pending && Phase(view, "a2") == ClusterPhase.Pending);
        Assert.Equal(ClusterCalls.MovingFault, _fleet.View.Current.Clusters["a1"].Summary!.Fault!.Kind);
        Assert.Equal(ClusterPhase.Online, Phase(_fleet.View.Current, "b1"));

        // What is shown of it does not change while it is lost, so that a watch of clusters is told once.
        ClusterEntry shown = _fleet.View.Current.Clusters["a1"];
        _fleet.Progress();
        Assert.Same(shown, _fleet.View.Current.Clusters["a1"]);

        _fleet["a1"].FailNext(new SiloUnavailableException("gone"), 0);
        _fleet["a1"].Silo = "b";
        DateTimeOffset since = shown.Summary!.Since;
        foreach ((ClusterPhase phase, int syncing) in ((ClusterPhase, int)[])[(ClusterPhase.Pending, 0), (ClusterPhase.Online, 45), (ClusterPhase.Online, 1)])
        {
            _fleet.Report("a1", phase, "b", syncing);
            ClusterSummary summary = _fleet.View.Current.Clusters["a1"].Summary!;
            Assert.Equal((ClusterPhase.Pending, LostClusters.ResyncingFault, since, syncing), (summary.Phase, summary.Fault?.Kind, summary.Since, summary.KindsSyncing));
        }

        _fleet.Report("a1", ClusterPhase.Online, "b");
        Assert.Equal(ClusterPhase.Online, Phase(_fleet.View.Current, "a1"));
        Assert.Equal(ClusterPhase.Pending, Phase(_fleet.View.Current, "a2"));
    }

    [Fact]
    public void View_ClusterComesUpEmptyOnAnotherSilo_IsPendingThoughNobodySawTheLoss_ForTwoMinutesAtMost()
    {
        var time = new ManualTimeProvider();
        using var fleet = new SimulatedFleet(time);
        fleet.Join("a1");
        fleet.Report("a1", ClusterPhase.Online, "a");
        fleet.Report("a1", ClusterPhase.Online, "b", syncing: 45);
        Assert.Equal(ClusterPhase.Pending, Phase(fleet.View.Current, "a1"));

        // A kind that never gets in step is no news of a loss for ever.
        time.Advance(TimeSpan.FromMinutes(2) + TimeSpan.FromSeconds(1));
        fleet.Progress();
        Assert.Equal(ClusterPhase.Online, Phase(fleet.View.Current, "a1"));

        fleet.Report("a1", ClusterPhase.Online, "c");
        Assert.Equal(ClusterPhase.Online, Phase(fleet.View.Current, "a1"));
        fleet.Report("a1", ClusterPhase.Degraded, "d", syncing: 45);
        Assert.Equal(ClusterPhase.Degraded, Phase(fleet.View.Current, "a1"));
    }

    [Fact]
    public void View_ClusterBeginsAnewWhereItWas_IsReadAnew()
    {
        // As when it could not come to life elsewhere while the database was away.
        using var fleet = new SimulatedFleet(new ManualTimeProvider());
        fleet.Join("a1");
        fleet.Report("a1", ClusterPhase.Online, "a");
        fleet.Report("a1", ClusterPhase.Pending, "a");
        ClusterSummary summary = fleet.View.Current.Clusters["a1"].Summary!;
        Assert.Equal((ClusterPhase.Pending, LostClusters.ResyncingFault), (summary.Phase, summary.Fault?.Kind));
        fleet.Report("a1", ClusterPhase.Online, "a", syncing: 45);
        Assert.Equal(ClusterPhase.Pending, Phase(fleet.View.Current, "a1"));
        fleet.Report("a1", ClusterPhase.Online, "a");
        Assert.Equal(ClusterPhase.Online, Phase(fleet.View.Current, "a1"));

        // What finds a new kind has lost nothing.
        fleet.Report("a1", ClusterPhase.Online, "a", syncing: 1);
        Assert.Equal(ClusterPhase.Online, Phase(fleet.View.Current, "a1"));
    }

    [Fact]
    public async Task Pulse_OneClusterIsRefused_ItsSiloIsNotLost()
    {
        _fleet["a1"].FailNext(new SiloUnavailableException("on its way"), int.MaxValue);
        await _pulse.StartAsync(CancellationToken.None);
        await CallsAsync("a2", 20);
        Assert.Equal(ClusterPhase.Online, Phase(_fleet.View.Current, "a1"));
    }

    [Fact]
    public async Task Pulse_SiloIsSilentForTheFirstCallAndThenRefused_IsLostAtTheFirstLook()
    {
        // A call that was under way when the silo was killed is answered by nobody; silence alone counts at the second look.
        foreach (string cluster in (string[])["a1", "a2"])
        {
            _fleet[cluster].HangNext(1);
            _fleet[cluster].FailNext(new SiloUnavailableException("gone"), int.MaxValue);
        }

        await _pulse.StartAsync(CancellationToken.None);
        await UntilAsync(view => Phase(view, "a1") == ClusterPhase.Pending && Phase(view, "a2") == ClusterPhase.Pending);
        Assert.Equal(ClusterCalls.MovingFault, _fleet.View.Current.Clusters["a1"].Summary!.Fault!.Kind);
    }

    [Fact]
    public async Task Pulse_OneClusterHasMovedAndTheWayToTheOtherIsRefused_NothingIsLost()
    {
        // As at the end of a silo that hands over: what it held last is on its way.
        _fleet["a1"].Silo = "b";
        _fleet["a2"].FailNext(new SiloUnavailableException("on its way"), int.MaxValue);
        await _pulse.StartAsync(CancellationToken.None);
        await CallsAsync("a1", 20);
        Assert.All(_fleet.View.Current.Clusters.Values, c => Assert.Equal(ClusterPhase.Online, c.Summary!.Phase));
    }

    [Fact]
    public async Task Pulse_SiloHangs_ItsClustersArePending_AndAsBeforeWhenItAnswersAgain()
    {
        (_fleet["a1"].Hangs, _fleet["a2"].Hangs) = (true, true);
        await _pulse.StartAsync(CancellationToken.None);
        await UntilAsync(view => Phase(view, "a1") == ClusterPhase.Pending && Phase(view, "a2") == ClusterPhase.Pending);
        Assert.Equal(ClusterCalls.SilentSilo, _fleet.View.Current.Clusters["a1"].Summary!.Fault);

        (_fleet["a1"].Hangs, _fleet["a2"].Hangs) = (false, false);
        await UntilAsync(view => Phase(view, "a1") == ClusterPhase.Online && Phase(view, "a2") == ClusterPhase.Online);
    }

    [Fact]
    public async Task Pulse_OneClusterHangs_ItsSiloIsNotLost()
    {
        _fleet["a1"].Hangs = true;
        await _pulse.StartAsync(CancellationToken.None);
        await CallsAsync("a2", 20);
        Assert.Equal(ClusterPhase.Online, Phase(_fleet.View.Current, "a1"));
    }

    [Fact]
    public async Task Pulse_SiloIsLostAndNobodyReads_EveryClusterOfItIsAsked()
    {
        // By that the grain of each comes to life on another silo.
        _fleet["a1"].FailNext(new SiloUnavailableException("gone"), 10);
        _fleet["a2"].FailNext(new SiloUnavailableException("gone"), 10);
        (_fleet["a1"].Silo, _fleet["a2"].Silo) = ("b", "b");
        await _pulse.StartAsync(CancellationToken.None);
        await CallsAsync("a1", 12);
        await CallsAsync("a2", 12);
    }

    [Fact]
    public async Task Pulse_ClustersMoveInOrder_NothingIsLost()
    {
        await _pulse.StartAsync(CancellationToken.None);
        foreach (string cluster in (string[])["a1", "a2"])
        {
            _fleet[cluster].Silo = "b";   // and the fleet has yet to hear of it
        }

        await CallsAsync("a1", 10);
        Assert.All(_fleet.View.Current.Clusters.Values, c => Assert.Equal(ClusterPhase.Online, c.Summary!.Phase));
    }

    [Fact]
    public async Task Pulse_OneSiloIsAllThereIs_AsksNobody()
    {
        foreach (string cluster in (string[])["a1", "a2", "b1"])
        {
            _fleet.Report(cluster, ClusterPhase.Online);
        }

        await _pulse.StartAsync(CancellationToken.None);
        _fleet.Report("b1", ClusterPhase.Online, "b");
        await CallsAsync("b1", 1);
        Assert.Equal(0, _fleet["a1"].Calls + _fleet["a2"].Calls);
    }

    public async ValueTask DisposeAsync()
    {
        await _pulse.StopAsync(CancellationToken.None);
        _pulse.Dispose();
        _fleet.Dispose();
    }

    private static ClusterPhase Phase(FleetSnapshot view, string cluster) => view.Clusters[cluster].Summary!.Phase;

    private async Task UntilAsync(Func<FleetSnapshot, bool> wish)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            Task changed = _fleet.View.Changed();
            if (wish(_fleet.View.Current))
            {
                return;
            }

            await changed.WaitAsync(patience.Token);
        }
    }

    private async Task CallsAsync(string cluster, int calls)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (_fleet[cluster].Calls < calls)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, patience.Token);
        }
    }
}
