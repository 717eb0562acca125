using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace MultiCluster.Silo.Engines;

/// <summary>Which grain lives on which silo, what each weighs, and which silos are about to go, as the database has it.</summary>
/// <remarks>Thread-safe. What was read is used for <see cref="SnapshotAge"/>, so that a burst of questions reads once.</remarks>
internal sealed partial class SiloBook(NpgsqlDataSource database, TimeProvider time, ILogger<SiloBook> logger)
{
    private static readonly TimeSpan SnapshotAge = TimeSpan.FromMilliseconds(250);

    private readonly Lock _gate = new();
    private Task<SiloPage> _reading = Task.FromResult(SiloPage.Empty);
    private long _readAt;

    /// <summary>The book as it is now, or was a moment ago. Empty where the database cannot be read; that is logged.</summary>
    public Task<SiloPage> ReadAsync()
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

    private async Task<SiloPage> QueryAsync()
    {
        try
        {
            await using NpgsqlBatch batch = database.CreateBatch();
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT cluster, load FROM cluster_load"));
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT silo FROM silo_lease WHERE is_leaving"));
            batch.BatchCommands.Add(new NpgsqlBatchCommand("SELECT grain_id, silo FROM grain_directory"));
            await using NpgsqlDataReader reader = await batch.ExecuteReaderAsync();
            Dictionary<string, double> loads = new(StringComparer.Ordinal);
            while (await reader.ReadAsync())
            {
                loads[reader.GetString(0)] = reader.GetDouble(1);
            }

            await reader.NextResultAsync();
            HashSet<string> leaving = new(StringComparer.Ordinal);
            while (await reader.ReadAsync())
            {
                leaving.Add(reader.GetString(0));
            }

            await reader.NextResultAsync();
            Dictionary<string, string> silos = new(StringComparer.Ordinal);
            while (await reader.ReadAsync())
            {
                silos[reader.GetString(0)] = reader.GetString(1);
            }

            return new SiloPage(loads, silos, leaving);
        }
        catch (NpgsqlException e)
        {
            LogNotRead(logger, e);
            return SiloPage.Empty;
        }
    }

    [LoggerMessage(6102, LogLevel.Warning, "The loads of the silos could not be read; grains are placed by hash meanwhile.", EventName = "LoadNotRead")]
    private static partial void LogNotRead(ILogger logger, Exception exception);
}

/// <summary>One look into the book. Immutable.</summary>
/// <param name="Loads">What was measured of each cluster, by name.</param>
/// <param name="Silos">Where each grain lives, by its id.</param>
/// <param name="Leaving">Silos that are about to go.</param>
internal sealed record SiloPage(IReadOnlyDictionary<string, double> Loads, IReadOnlyDictionary<string, string> Silos, IReadOnlySet<string> Leaving)
{
    public static readonly SiloPage Empty = new(ImmutableDictionary<string, double>.Empty, ImmutableDictionary<string, string>.Empty, ImmutableHashSet<string>.Empty);

    private const string ClusterPrefix = "cluster/";

    /// <summary>What a grain weighs: a cluster what was measured of it; anything else next to nothing.</summary>
    public double LoadOf(string grain) =>
        ClusterOf(grain) is not { } cluster ? 1 : Loads.TryGetValue(cluster, out double load) ? load : ClusterLoad.Unknown;

    /// <summary>The cluster that a grain holds; null where it holds none.</summary>
    public static string? ClusterOf(string grain) => grain.StartsWith(ClusterPrefix, StringComparison.Ordinal) ? grain[ClusterPrefix.Length..] : null;

    /// <summary>What each silo carries.</summary>
    public Dictionary<string, double> Carried()
    {
        Dictionary<string, double> carried = new(StringComparer.Ordinal);
        foreach ((string grain, string silo) in Silos)
        {
            carried[silo] = carried.GetValueOrDefault(silo) + LoadOf(grain);
        }

        return carried;
    }
}
