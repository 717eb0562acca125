using Microsoft.Extensions.Logging;
using Npgsql;
using Orleans;
using Orleans.Placement;
using Orleans.Runtime;
using Orleans.Runtime.Placement;

namespace MultiCluster.Silo.Engines;

/// <summary>Places a grain where least is carried, by what was measured of every cluster.</summary>
[GenerateSerializer, Immutable, Alias("multicluster.load-placement")]
internal sealed class LoadPlacement : PlacementStrategy;

/// <summary>Chooses the silo for a cluster that has none.</summary>
/// <remarks>
/// After the loss of a silo many clusters are placed at once, by several silos. Each choice counts what the directory already
/// knows and what this silo has just decided, so that a burst spreads. Without the database the choice is by hash. Thread-safe.
/// </remarks>
internal sealed partial class LoadPlacementDirector(NpgsqlDataSource database, TimeProvider time, ILogger<LoadPlacementDirector> logger) : IPlacementDirector
{
    private const string ClusterType = "cluster";

    // A burst of placements reads once; what it decides meanwhile is remembered here.
    private static readonly TimeSpan SnapshotAge = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan AssumedFor = TimeSpan.FromSeconds(10);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, (string Silo, long At)> _assumed = new(StringComparer.Ordinal);
    private Task<Snapshot> _reading = Task.FromResult(Snapshot.Empty);
    private long _readAt;

    /// <inheritdoc/>
    public async Task<SiloAddress> OnAddActivation(PlacementStrategy strategy, PlacementTarget target, IPlacementContext context)
    {
        SiloAddress[] silos = context.GetCompatibleSilos(target);

        // Somebody who moves a grain knows where to.
        if (IPlacementDirector.GetPlacementHint(target.RequestContextData, silos) is { } hinted)
        {
            return hinted;
        }

        string grain = target.GrainIdentity.ToString();
        Snapshot known = await ReadAsync();
        lock (_gate)
        {
            Dictionary<string, double> carried = new(StringComparer.Ordinal);
            foreach ((string other, (string silo, double load)) in known.Grains)
            {
                Carry(carried, silo, load);
            }

            foreach (string other in _assumed.Where(a => time.GetElapsedTime(a.Value.At) > AssumedFor).Select(a => a.Key).ToArray())
            {
                _assumed.Remove(other);
            }

            foreach ((string other, (string silo, _)) in _assumed.Where(a => !known.Grains.ContainsKey(a.Key)))
            {
                Carry(carried, silo, known.LoadOf(other));
            }

            // Of silos that carry alike the grain's hash decides, or all silos would send what they place to the same one.
            int first = (int)(target.GrainIdentity.GetUniformHashCode() % (uint)silos.Length);
            SiloAddress chosen = ClusterLoad.Lightest([.. silos[first..], .. silos[..first]], s => carried.GetValueOrDefault(s.ToParsableString()));
            _assumed[grain] = (chosen.ToParsableString(), time.GetTimestamp());
            return chosen;
        }
    }

    private static void Carry(Dictionary<string, double> carried, string silo, double load) =>
        carried[silo] = carried.GetValueOrDefault(silo) + load;

    private Task<Snapshot> ReadAsync()
    {
        lock (_gate)
        {
            if (_readAt == 0 || (_reading.IsCompleted && time.GetElapsedTime(_readAt) > SnapshotAge))
            {
                _readAt = time.GetTimestamp();
                _reading = QueryAsync();
            }

            return _reading;
        }
    }

    private async Task<Snapshot> QueryAsync()
    {
        try
        {
            Dictionary<string, double> loads = new(StringComparer.Ordinal);
            await using NpgsqlBatch batch = database.CreateBatch();
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT cluster, load FROM cluster_load"));
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT grain_id, silo FROM grain_directory"));
            await using NpgsqlDataReader reader = await batch.ExecuteReaderAsync();
            while (await reader.ReadAsync())
            {
                loads[reader.GetString(0)] = reader.GetDouble(1);
            }

            await reader.NextResultAsync();
            var snapshot = new Snapshot(loads, new(StringComparer.Ordinal));
            while (await reader.ReadAsync())
            {
                snapshot.Grains[reader.GetString(0)] = (reader.GetString(1), snapshot.LoadOf(reader.GetString(0)));
            }

            return snapshot;
        }
        catch (NpgsqlException e)
        {
            LogNotRead(logger, e);
            return Snapshot.Empty;
        }
    }

    [LoggerMessage(6102, LogLevel.Warning, "The loads of the silos could not be read; grains are placed by hash meanwhile.", EventName = "LoadNotRead")]
    private static partial void LogNotRead(ILogger logger, Exception exception);

    private sealed record Snapshot(Dictionary<string, double> Loads, Dictionary<string, (string Silo, double Load)> Grains)
    {
        public static readonly Snapshot Empty = new([], []);

        /// <summary>What a grain weighs: a cluster what was measured of it; anything else next to nothing.</summary>
        public double LoadOf(string grain) =>
            !grain.StartsWith($"{ClusterType}/", StringComparison.Ordinal) ? 1
                : Loads.TryGetValue(grain[(ClusterType.Length + 1)..], out double load) ? load : ClusterLoad.Unknown;
    }
}
