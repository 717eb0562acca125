using MultiCluster.Clusters;
using MultiCluster.Grains.Cluster;
using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class HealthStateTests
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    // H healthy, U unhealthy (500), R refused (401), X unreachable; what shows after each probe, ten seconds apart.
    [Theory]
    [InlineData("H", "O")]
    [InlineData("X", "x")]
    [InlineData("R", "A")]
    [InlineData("U", "D")]
    [InlineData("HX", "OO")]
    [InlineData("HXX", "OOO")]
    [InlineData("HXXX", "OOOx")]
    [InlineData("HXXHXXHXX", "OOOOOOOOO")]
    [InlineData("HXXXH", "OOOxO")]
    [InlineData("HXRU", "OOOD")]
    [InlineData("HUUU", "OOOD")]
    [InlineData("HRRR", "OOOA")]
    [InlineData("UH", "DO")]
    [InlineData("XR", "xx")]
    [InlineData("XRH", "xxO")]
    [InlineData("XRRR", "xxxA")]
    [InlineData("XRU", "xxD")]
    [InlineData("RXXX", "AAAx")]
    [InlineData("RXHX", "AAOO")]
    [InlineData("UXXUXXX", "DDDDDDx")]
    [InlineData("XU", "xD")]
    public void Next_DownAfterThreeUpAfterOne_ShowsPhase(string probes, string shown) => Assert.Equal(shown, Run(probes, 3, 1));

    [Theory]
    [InlineData("XHXHXHH", "xxxxxxO")]
    [InlineData("XHH", "xxO")]
    [InlineData("HX", "Ox")]
    public void Next_DownAfterOneUpAfterTwo_ShowsPhase(string probes, string shown) => Assert.Equal(shown, Run(probes, 1, 2));

    [Fact]
    public void Next_SamePhaseOtherReason_KeepsSinceAndTakesReason()
    {
        HealthState state = HealthState.Unknown(Start)
            .Next(Reading('X', "ConnectionRefused"), Start.AddSeconds(10), 3, 1)
            .Next(Reading('X', "NameResolution"), Start.AddSeconds(20), 3, 1);

        Assert.Equal(Start.AddSeconds(10), state.Since);
        Assert.Equal("NameResolution", state.Fault!.Kind);
    }

    [Fact]
    public void Next_ChangeStillDamped_KeepsReasonOfWhatShows()
    {
        HealthState state = HealthState.Unknown(Start)
            .Next(Reading('H'), Start, 3, 1)
            .Next(Reading('X'), Start.AddSeconds(10), 3, 1);

        Assert.Equal(ClusterPhase.Online, state.Phase);
        Assert.Null(state.Fault);
    }

    [Theory]
    [InlineData(KubeErrorKind.Unauthorized, ClusterPhase.AuthFailed)]
    [InlineData(KubeErrorKind.Forbidden, ClusterPhase.AuthFailed)]
    [InlineData(KubeErrorKind.ServerError, ClusterPhase.Degraded)]
    [InlineData(KubeErrorKind.Throttled, ClusterPhase.Degraded)]
    [InlineData(KubeErrorKind.ConnectionRefused, ClusterPhase.Offline)]
    [InlineData(KubeErrorKind.NameResolution, ClusterPhase.Offline)]
    [InlineData(KubeErrorKind.Tls, ClusterPhase.Offline)]
    [InlineData(KubeErrorKind.Timeout, ClusterPhase.Offline)]
    [InlineData(KubeErrorKind.Protocol, ClusterPhase.Offline)]
    public void Of_ErrorOfTheProbe_GivesPhaseAndKind(KubeErrorKind kind, ClusterPhase phase)
    {
        var probe = new ProbeResult(ProbeOutcome.Unhealthy, TimeSpan.Zero, new KubeError(kind, "Something."));

        HealthState state = HealthState.Unknown(Start).Next(ProbeReading.Of(probe, TimeSpan.FromSeconds(2)), Start, 3, 1);

        Assert.Equal(phase, state.Phase);
        Assert.Equal(kind.ToString(), state.Fault!.Kind);
    }

    [Theory]
    [InlineData(1999, ClusterPhase.Online)]
    [InlineData(2000, ClusterPhase.Degraded)]
    public void Of_SlowAnswer_IsDegraded(int milliseconds, ClusterPhase phase)
    {
        var probe = new ProbeResult(ProbeOutcome.Healthy, TimeSpan.FromMilliseconds(milliseconds), null);

        HealthState state = HealthState.Unknown(Start).Next(ProbeReading.Of(probe, TimeSpan.FromSeconds(2)), Start, 3, 1);

        Assert.Equal(phase, state.Phase);
        Assert.Equal(phase == ClusterPhase.Degraded ? ClusterFault.Slow : null, state.Fault?.Kind);
    }

    [Fact]
    public void With_MirrorOutOfSync_DegradesOnlyAClusterThatIsOnline()
    {
        var fault = new ClusterFault(ClusterFault.OutOfSync, "pods");
        var online = new HealthState(ClusterPhase.Online, null, Start);
        var offline = new HealthState(ClusterPhase.Offline, new ClusterFault("ConnectionRefused", "No."), Start);
        var first = new ClusterStanding(ClusterPhase.Online, null, Start);

        ClusterStanding degraded = first.With(online, fault, Start.AddSeconds(5));
        ClusterStanding gone = degraded.With(offline, fault, Start.AddSeconds(6));
        ClusterStanding back = gone.With(online, null, Start.AddSeconds(7));

        Assert.Equal((ClusterPhase.Degraded, ClusterFault.OutOfSync, Start.AddSeconds(5)), (degraded.Phase, degraded.Fault!.Kind, degraded.Since));
        Assert.Equal((ClusterPhase.Offline, "ConnectionRefused", Start.AddSeconds(6)), (gone.Phase, gone.Fault!.Kind, gone.Since));
        Assert.Equal((ClusterPhase.Online, (ClusterFault?)null, Start.AddSeconds(7)), (back.Phase, back.Fault, back.Since));
    }

    // h and s: the mirror well and sick at a probe; H and S: at a look between two. What shows after each.
    [Theory]
    [InlineData("s", "-")]
    [InlineData("sss", "--x")]
    [InlineData("sSSSS", "-----")]
    [InlineData("sSsSsS", "----xx")]
    [InlineData("sshss", "-----")]
    [InlineData("sSHSs", "-----")]
    [InlineData("sssh", "--x-")]
    [InlineData("sssH", "--x-")]
    public void MirrorCondition_DownAfterThree_ShowsWhatHolds(string looks, string shown) => Assert.Equal(shown, RunMirror(looks, 3, 1));

    [Theory]
    [InlineData("sHh", "xxx")]
    [InlineData("shh", "xx-")]
    [InlineData("shshh", "xxxx-")]
    public void MirrorCondition_UpAfterTwo_ShowsWhatHolds(string looks, string shown) => Assert.Equal(shown, RunMirror(looks, 1, 2));

    [Theory]
    [InlineData("Forbidden", true, ClusterPhase.Online)]
    [InlineData("Forbidden", false, ClusterPhase.AuthFailed)]
    [InlineData("Unauthorized", true, ClusterPhase.AuthFailed)]
    public void With_HealthRefusedAndKindsInStep_IsAuthFailedOnlyByWrongCredentials(string kind, bool reads, ClusterPhase phase)
    {
        var refused = new HealthState(ClusterPhase.AuthFailed, new ClusterFault(kind, "No."), Start);

        ClusterStanding standing = new ClusterStanding(ClusterPhase.Online, null, Start).With(refused, null, Start.AddSeconds(5), reads);

        Assert.Equal((phase, phase == ClusterPhase.Online ? null : kind), (standing.Phase, standing.Fault?.Kind));
    }

    private static string RunMirror(string looks, int downAfter, int upAfter)
    {
        MirrorCondition condition = MirrorCondition.Well;
        var shown = new System.Text.StringBuilder();
        foreach (char look in looks)
        {
            ClusterFault? fault = look is 's' or 'S' ? new ClusterFault(ClusterFault.OutOfSync, "pods") : null;
            condition = char.IsLower(look) ? condition.AtProbe(fault, downAfter, upAfter) : condition.Between(fault, upAfter);
            shown.Append(condition.Shows is null ? '-' : 'x');
        }

        return shown.ToString();
    }

    private static string Run(string probes, int downAfter, int upAfter)
    {
        HealthState state = HealthState.Unknown(Start);
        DateTimeOffset now = Start;
        var shown = new System.Text.StringBuilder();
        foreach (char probe in probes)
        {
            now += TimeSpan.FromSeconds(10);
            state = state.Next(Reading(probe), now, downAfter, upAfter);
            shown.Append(state.Phase switch
            {
                ClusterPhase.Online => 'O',
                ClusterPhase.Degraded => 'D',
                ClusterPhase.AuthFailed => 'A',
                ClusterPhase.Offline => 'x',
                _ => '?',
            });
        }

        return shown.ToString();
    }

    private static ProbeReading Reading(char probe, string kind = "Some") => probe switch
    {
        'H' => new ProbeReading(ProbeVerdict.Healthy, null),
        'U' => new ProbeReading(ProbeVerdict.Unhealthy, new ClusterFault(kind, "Unhealthy.")),
        'R' => new ProbeReading(ProbeVerdict.Refused, new ClusterFault(kind, "Refused.")),
        _ => new ProbeReading(ProbeVerdict.Unreachable, new ClusterFault(kind, "Unreachable.")),
    };
}
