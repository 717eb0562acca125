using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Orleans.Hosting;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

/// <summary>Where grains and tests meet: named signals and a journal, one per cluster.</summary>
internal sealed class Probe
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly ConcurrentDictionary<string, TaskCompletionSource> _signals = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<string> _journal = new();

    public string[] Journal => [.. _journal];

    public void Note(string what) => _journal.Enqueue(what);

    public void Signal(string name) => Source(name).TrySetResult();

    public Task Seen(string name) => Source(name).Task.WaitAsync(Patience);

    private TaskCompletionSource Source(string name) =>
        _signals.GetOrAdd(name, static _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
}

internal static class TestCluster
{
    /// <summary>A running cluster with memory storage and a probe.</summary>
    public static async Task<InProcessTestCluster> StartAsync(Probe probe, Action<ISiloBuilder>? configure = null)
    {
        InProcessTestCluster cluster = new InProcessTestClusterBuilder(1)
            .ConfigureSilo((_, silo) =>
            {
                silo.Services.AddSingleton(probe);
                silo.AddMemoryGrainStorageAsDefault();
                configure?.Invoke(silo);
            })
            .Build();
        await cluster.DeployAsync().WaitAsync(Probe.Patience);
        return cluster;
    }

    public static Task<T> Soon<T>(this Task<T> task) => task.WaitAsync(Probe.Patience);

    public static Task Soon(this Task task) => task.WaitAsync(Probe.Patience);
}
