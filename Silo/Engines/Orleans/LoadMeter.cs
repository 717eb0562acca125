using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace MultiCluster.Silo.Engines;

/// <summary>Measures what each cluster of this silo costs, and tells the others through the database.</summary>
/// <remarks>Listens to the figures that the mirrors publish anyway. A cluster is told of when its load has changed by a tenth.</remarks>
internal sealed partial class LoadMeter(NpgsqlDataSource database, TimeProvider time, ILogger<LoadMeter> logger) : BackgroundService
{
    private const string MirrorMeter = "MultiCluster.Clusters";

    // Placement looks at loads of minutes; a cluster that has just synced should count for what it is soon after.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<string, Figures> _figures = new(StringComparer.Ordinal);
    private readonly Dictionary<string, double> _told = new(StringComparer.Ordinal);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var listener = new MeterListener { InstrumentPublished = Enable };
        listener.SetMeasurementEventCallback<long>(Take);
        listener.Start();
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await TellAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The silo stops.
        }
    }

    private static void Enable(Instrument instrument, MeterListener listener)
    {
        if (instrument.Meter.Name == MirrorMeter && instrument.Name is "multicluster.mirror.objects" or "multicluster.mirror.bytes" or "multicluster.mirror.events")
        {
            listener.EnableMeasurementEvents(instrument);
        }
    }

    private void Take(Instrument instrument, long change, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        foreach (KeyValuePair<string, object?> tag in tags)
        {
            if (tag is { Key: "cluster", Value: string cluster })
            {
                _figures.GetOrAdd(cluster, static _ => new Figures()).Add(instrument.Name, change);
                return;
            }
        }
    }

    private async Task TellAsync(CancellationToken cancellationToken)
    {
        List<string> clusters = [];
        List<double> loads = [];
        foreach ((string cluster, Figures figures) in _figures)
        {
            (long objects, long bytes, double changes) = figures.Read(time);
            if (objects <= 0)
            {
                continue;   // it has moved away, or has not synced yet: what is known of it is better than nothing
            }

            double load = ClusterLoad.Of(objects, bytes, changes);
            if (!_told.TryGetValue(cluster, out double told) || Math.Abs(load - told) > told / 10)
            {
                clusters.Add(cluster);
                loads.Add(load);
            }
        }

        if (clusters.Count == 0)
        {
            return;
        }

        try
        {
            await using NpgsqlCommand command = database.CreateCommand("""
                INSERT INTO cluster_load (cluster, load) SELECT * FROM unnest(@clusters, @loads)
                ON CONFLICT (cluster) DO UPDATE SET load = excluded.load, measured_at = now()
                """);
            command.Parameters.AddWithValue("clusters", clusters);
            command.Parameters.AddWithValue("loads", loads);
            await command.ExecuteNonQueryAsync(cancellationToken);
            for (int i = 0; i < clusters.Count; i++)
            {
                _told[clusters[i]] = loads[i];
            }
        }
        catch (NpgsqlException e)
        {
            LogNotTold(logger, e, clusters.Count);
        }
    }

    [LoggerMessage(6101, LogLevel.Warning, "The load of {Count} clusters could not be told to the other silos; trying again.", EventName = "LoadNotTold")]
    private static partial void LogNotTold(ILogger logger, Exception exception, int count);

    private sealed class Figures
    {
        private long _objects;
        private long _bytes;
        private long _changes;
        private long _changesBefore;
        private long _readAt;

        public void Add(string instrument, long change)
        {
            switch (instrument)
            {
                case "multicluster.mirror.objects":
                    Interlocked.Add(ref _objects, change);
                    break;
                case "multicluster.mirror.bytes":
                    Interlocked.Add(ref _bytes, change);
                    break;
                default:
                    Interlocked.Add(ref _changes, change);
                    break;
            }
        }

        /// <summary>Called by one loop alone.</summary>
        public (long Objects, long Bytes, double ChangesPerSecond) Read(TimeProvider time)
        {
            long changes = Interlocked.Read(ref _changes);
            long now = time.GetTimestamp();
            double rate = _readAt == 0 ? 0 : (changes - _changesBefore) / Math.Max(0.001, time.GetElapsedTime(_readAt, now).TotalSeconds);
            (_changesBefore, _readAt) = (changes, now);
            return (Interlocked.Read(ref _objects), Interlocked.Read(ref _bytes), rate);
        }
    }
}
