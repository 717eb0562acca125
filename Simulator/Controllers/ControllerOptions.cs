namespace MultiCluster.Simulator.Controllers;

/// <summary>How the simulated controllers of one cluster behave.</summary>
public sealed record ControllerOptions
{
    /// <summary>Whether bound pods start, become ready and end, as under kubelets.</summary>
    /// <value>Default true. False leaves them Pending and Terminating, as in a cluster whose nodes were made by hand.</value>
    public bool RunPods { get; init; } = true;

    /// <summary>Time from binding until a pod runs and is ready; each pod draws between this and twice this.</summary>
    /// <value>Default 400 ms, short enough for a demo and long enough to see the states in between.</value>
    public TimeSpan PodStartDelay { get; init; } = TimeSpan.FromMilliseconds(400);

    /// <summary>Time a deleted pod takes to stop.</summary>
    /// <value>Default 300 ms.</value>
    public TimeSpan PodStopDelay { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>Time a pod that does not restart (a job's) runs before it succeeds.</summary>
    /// <value>Default 1 s.</value>
    public TimeSpan PodRunTime { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Time between the heartbeats of a node.</summary>
    /// <value>Default 40 s, the patience of a real control plane; zero switches them off.</value>
    public TimeSpan HeartbeatPeriod { get; init; } = TimeSpan.FromSeconds(40);

    /// <summary>Seed of everything random, so that two runs with the same requests look the same.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Most Event objects kept; older ones are deleted.</summary>
    /// <value>Default 500.</value>
    public int MaxEvents { get; init; } = 500;
}
