using System.Globalization;
using System.Text.Json;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;

namespace MultiCluster.Gateway.Tests.Continuity;

/// <summary>Reads one fleet watch from the present on, holds what a reader that believes it would hold, and finds fault with what cannot be.</summary>
internal sealed class Follower : IAsyncDisposable
{
    private readonly MovingFleet _fleet;
    private readonly bool _mayRepeat;
    private readonly CancellationTokenSource _stop = new();
    private readonly IAsyncEnumerator<FleetWatchBatch> _batches;
    private readonly SortedDictionary<string, (string Uid, long Version)> _held = new(StringComparer.Ordinal);
    private Task<bool>? _next;

    /// <param name="fleet">The fleet.</param>
    /// <param name="query">Which objects.</param>
    /// <param name="mayRepeat">Whether an object may be added twice, as watches for owners do when they resume.</param>
    public Follower(MovingFleet fleet, ObjectQuery query, bool mayRepeat = false)
    {
        _fleet = fleet;
        _mayRepeat = mayRepeat;
        var watch = new FleetWatchQuery { Objects = query, BookmarkEvery = TimeSpan.FromSeconds(1), Deadline = TimeSpan.FromSeconds(15) };
        _batches = fleet.Reader.WatchAsync(watch, _stop.Token).GetAsyncEnumerator(_stop.Token);
    }

    /// <summary>Every change so far, as <c>+eu-1/shop/a</c>; <c>~</c> for changed, <c>-</c> for deleted.</summary>
    public List<string> Events { get; } = [];

    public List<ClusterCoverage> Coverage { get; } = [];

    public bool IsPresent { get; private set; }

    public FleetWatchEnd End { get; private set; }

    public long Revision { get; private set; }

    /// <summary>What the reader holds, as <c>eu-1/shop/a@17</c>.</summary>
    public string[] Held => [.. _held.Select(pair => $"{pair.Key}@{pair.Value.Version}")];

    /// <summary>Reads until it is as wanted.</summary>
    public async Task UntilAsync(Func<Follower, bool> wanted)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (!wanted(this))
        {
            TimeSpan left = MovingFleet.Patience - TimeProvider.System.GetElapsedTime(start);
            Assert.True(End == FleetWatchEnd.None, $"The watch ended as {End}. {this}");
            Assert.True(left > TimeSpan.Zero, $"Not as wanted in time. {this}");
            await ReadAsync(left);
        }
    }

    /// <summary>Reads what is there, without waiting for more.</summary>
    public async Task ReadSomeAsync()
    {
        while (End == FleetWatchEnd.None && await ReadAsync(TimeSpan.FromMilliseconds(1)))
        {
        }
    }

    /// <summary>Reads until the end of the watch.</summary>
    public Task UntilEndAsync() => UntilAsync(static f => f.End != FleetWatchEnd.None);

    public override string ToString() =>
        $"Events: {string.Join(' ', Events.TakeLast(60))}\nheld: {string.Join(' ', Held.Take(60))}\ncoverage: {string.Join("; ", Coverage.TakeLast(5))}\nlog: {_fleet.Log}";

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        if (_next is not null)
        {
            await _next.WaitAsync(MovingFleet.Patience).ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        }

        await _batches.DisposeAsync().AsTask().WaitAsync(MovingFleet.Patience);
        _stop.Dispose();
    }

    private async Task<bool> ReadAsync(TimeSpan within)
    {
        _next ??= _batches.MoveNextAsync().AsTask();
        if (await Task.WhenAny(_next, Task.Delay(within, TimeProvider.System, CancellationToken.None)) != _next)
        {
            return false;
        }

        bool any = await _next;
        _next = null;
        Assert.True(any);
        FleetWatchBatch batch = _batches.Current;
        foreach (FleetEvent change in batch.Events)
        {
            Take(change);
        }

        Coverage.AddRange(batch.Coverage);
        IsPresent |= batch.InitialEnd;
        End = batch.End;
        Assert.True(batch.Revision >= Revision || batch.Revision == 0, "The revision went back.");
        Revision = batch.Revision;
        return true;
    }

    private void Take(FleetEvent change)
    {
        using JsonDocument json = JsonDocument.Parse(change.Item.Json);
        JsonElement metadata = json.RootElement.GetProperty("metadata");
        string key = $"{change.Item.Cluster}/{change.Item.Row.Namespace}/{change.Item.Row.Name}";
        string uid = metadata.GetProperty("uid").GetString()!;
        long version = long.Parse(metadata.GetProperty("resourceVersion").GetString()!, CultureInfo.InvariantCulture);
        bool had = _held.TryGetValue(key, out (string Uid, long Version) held);
        Events.Add($"{change.Type switch { ChangeType.Added => '+', ChangeType.Modified => '~', _ => '-' }}{key}");
        switch (change.Type)
        {
            case ChangeType.Deleted:
                Assert.True((had && held.Uid == uid) || _mayRepeat, $"Deleted what was not there: {key}. {this}");
                _held.Remove(key);
                break;
            case ChangeType.Modified:
                Assert.True(had && held.Uid == uid && held.Version < version, $"Went back or repeated: {key} from {held.Version} to {version}. {this}");
                _held[key] = (uid, version);
                break;
            default:
                Assert.True(!had || (_mayRepeat && held.Uid == uid && held.Version <= version), $"Added twice: {key}@{version}. {this}");
                _held[key] = (uid, version);
                break;
        }
    }
}
