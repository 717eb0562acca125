using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Silo.Engines;
using Orleans.Hosting;
using Orleans.TestingHost;

namespace MultiCluster.Silo.Tests.Observability;

/// <summary>The figures of grains, the same on both engines.</summary>
public sealed class GrainMetricsTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly Gate _gate = new();
    private readonly GrainReadings _readings = new();
    private readonly InProcessTestCluster _cluster;

    public GrainMetricsTests() => _cluster = new InProcessTestClusterBuilder(1)
        .ConfigureSilo((_, silo) =>
        {
            silo.Services.AddSingleton(_gate);
            silo.AddGrainFigures();
        })
        .ConfigureClient(static client => client.AddGrainFigures())
        .Build();

    public Task InitializeAsync() => _cluster.DeployAsync();

    public async Task DisposeAsync()
    {
        _gate.Open();
        await _cluster.DisposeAsync();
        _readings.Dispose();
    }

    [Fact]
    public async Task Calls_AreCountedByMethodAndOutcome_AndTimed()
    {
        IMeteredGrain grain = Grain("secret-key");
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(i, await grain.AnswerAsync(i).WaitAsync(Patience));
        }

        await grain.NamelessAsync().WaitAsync(Patience);
        await Assert.ThrowsAsync<InvalidDataException>(grain.FailAsync);

        IReadOnlyDictionary<string, double> now = _readings.Now;
        Assert.Equal(3, now["multicluster.grain.calls{grain_type=metered,method=answer,outcome=ok}"]);
        Assert.Equal(1, now["multicluster.grain.calls{grain_type=metered,method=NamelessAsync,outcome=ok}"]);
        Assert.Equal(1, now["multicluster.grain.calls{grain_type=metered,method=fail,outcome=failed}"]);
        Assert.Equal(1, now["multicluster.grain.call.failures{grain_type=metered,method=fail,error=InvalidDataException}"]);
        Assert.Equal(3, now["multicluster.grain.call.duration{grain_type=metered,method=answer}"]);
        Assert.Equal(1, now["multicluster.grain.call.duration{grain_type=metered,method=fail}"]);
        Assert.DoesNotContain(now.Keys, name => name.Contains("secret-key", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Calls_CancelledByTheCaller_AreNoFailure_AndThoseOfTheGrainItselfAre()
    {
        IMeteredGrain grain = Grain("a");
        using var stop = new CancellationTokenSource();
        Task waiting = grain.WaitAsync(stop.Token);
        await _gate.ArrivalAsync().WaitAsync(Patience);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(Patience));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => grain.GiveUpAsync().WaitAsync(Patience));

        await _readings.UntilAsync("multicluster.grain.calls{grain_type=metered,method=wait,outcome=cancelled}", 1);
        IReadOnlyDictionary<string, double> now = _readings.Now;
        Assert.Equal(1, now["multicluster.grain.calls{grain_type=metered,method=give-up,outcome=failed}"]);
        Assert.DoesNotContain(now.Keys, name => name.StartsWith("multicluster.grain.call.failures{grain_type=metered,method=wait", StringComparison.Ordinal));
        Assert.Contains(now.Keys, name => name.StartsWith("multicluster.grain.call.failures{grain_type=metered,method=give-up", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Streams_AreCountedByTheirOpening_AndWhenTheyBreak()
    {
        IMeteredGrain grain = Grain("a");
        Assert.Equal(Enumerable.Range(0, 500), await ReadAsync(500, fails: false));
        await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(0, fails: true));
        await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(500, fails: true));
        await foreach (int first in grain.StreamAsync(int.MaxValue, fails: false, CancellationToken.None))
        {
            Assert.Equal(0, first);
            break;   // a reader that leaves is no failure
        }

        IReadOnlyDictionary<string, double> now = _readings.Now;
        Assert.Equal(3, now["multicluster.grain.calls{grain_type=metered,method=stream,outcome=ok}"]);
        Assert.Equal(1, now["multicluster.grain.calls{grain_type=metered,method=stream,outcome=failed}"]);
        Assert.Equal(2, now["multicluster.grain.call.failures{grain_type=metered,method=stream,error=InvalidDataException}"]);
        Assert.DoesNotContain(now.Keys, name => name.StartsWith("multicluster.grain.call.duration", StringComparison.Ordinal));
        Assert.DoesNotContain(now.Keys, name => name.Contains("Enumeration", StringComparison.Ordinal) || name.Contains("MoveNext", StringComparison.Ordinal));

        async Task<List<int>> ReadAsync(int count, bool fails)
        {
            List<int> read = [];
            await foreach (int number in grain.StreamAsync(count, fails, CancellationToken.None))
            {
                read.Add(number);
            }

            return read;
        }
    }

    [Fact]
    public async Task Activations_ComeAndGo()
    {
        await Task.WhenAll(new[] { "a", "b", "c" }.Select(key => Grain(key).AnswerAsync(1))).WaitAsync(Patience);
        Assert.Equal(3, _readings.Now["multicluster.grain.activations{grain_type=metered}"]);

        await Grain("b").LeaveAsync().WaitAsync(Patience);

        await _readings.UntilAsync("multicluster.grain.activations{grain_type=metered}", 2);
        Assert.Single(_readings.Now.Keys, name => name.StartsWith("multicluster.grain.activations", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Mailbox_CountsWhatWaits_AndNotWhatRuns()
    {
        Task[] calls = [.. Enumerable.Range(0, 4).Select(_ => Grain("a").HoldAsync()), Grain("b").HoldAsync(), Grain("b").HoldAsync(), Grain("c").HoldAsync()];

        await _readings.UntilAsync("multicluster.grain.mailbox{grain_type=metered}", 4);
        await _readings.UntilAsync("multicluster.grain.mailbox.max{grain_type=metered}", 3);
        _gate.Open();
        await Task.WhenAll(calls).WaitAsync(Patience);

        await _readings.UntilAsync("multicluster.grain.mailbox{grain_type=metered}", 0);
        IReadOnlyDictionary<string, double> now = _readings.Now;
        Assert.Equal(0, now["multicluster.grain.mailbox{grain_type=metered}"]);
        Assert.Equal(0, now["multicluster.grain.mailbox.max{grain_type=metered}"]);
    }

    private IMeteredGrain Grain(string key) => _cluster.Client.GetGrain<IMeteredGrain>(key);
}
