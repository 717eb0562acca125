using System.Diagnostics.Metrics;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiCluster.Silo.Hosting;
using Npgsql;

namespace MultiCluster.Silo.Database;

/// <summary>The time of the database, which is the same for all processes of the service whatever their own clocks say.</summary>
/// <remarks>
/// Fleet revisions are drawn from it: a cluster that moves to a machine whose clock is behind must not stamp its changes earlier than those
/// that were told before. Between two looks at the database this machine's clock goes on from the last, also while the database is away.
/// Only <see cref="GetUtcNow"/> differs from the system's. Thread-safe.
/// </remarks>
internal sealed class DatabaseTime : TimeProvider
{
    /// <summary>Above this, a process does not start: Orleans compares times of its silos, and takes one that is 90 s behind for dead.</summary>
    public static readonly TimeSpan MostOffset = TimeSpan.FromSeconds(75);

    /// <summary>Above this, operators are told.</summary>
    public static readonly TimeSpan WorthTelling = TimeSpan.FromSeconds(2);

    private readonly TimeProvider _local;
    private long _offset;

    private DatabaseTime(TimeProvider local) => _local = local;

    /// <summary>What has to be added to this machine's clock.</summary>
    public TimeSpan Offset => TimeSpan.FromTicks(Volatile.Read(ref _offset));

    /// <summary>What is wrong with this machine's clock, in words; null where nothing is.</summary>
    public string? Fault => Offset.Duration() < WorthTelling
        ? null
        : $"The clock of this machine is {Offset.Duration().TotalSeconds:F0} s {(Offset < TimeSpan.Zero ? "ahead of" : "behind")} that of the database; set both by NTP.";

    /// <inheritdoc/>
    public override long TimestampFrequency => _local.TimestampFrequency;

    /// <summary>Looks at the database for the first time.</summary>
    /// <exception cref="ServiceStartException">This machine's clock is too wrong to take part.</exception>
    public static async Task<DatabaseTime> OpenAsync(NpgsqlDataSource database, TimeProvider local, CancellationToken cancellationToken)
    {
        var clock = new DatabaseTime(local);
        await clock.LookAsync(database, cancellationToken);
        return clock.Offset.Duration() > MostOffset ? throw new ServiceStartException($"{clock.Fault} More than {MostOffset.TotalSeconds:F0} s are too many to start with.") : clock;
    }

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => _local.GetUtcNow() + Offset;

    /// <inheritdoc/>
    public override long GetTimestamp() => _local.GetTimestamp();

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) => _local.CreateTimer(callback, state, dueTime, period);

    /// <summary>Looks at the database's clock.</summary>
    public async Task LookAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        // The quickest of three answers says it best: the time in it is that of some moment between question and answer.
        await using NpgsqlConnection connection = await database.OpenConnectionAsync(cancellationToken);
        TimeSpan quickest = TimeSpan.MaxValue;
        TimeSpan offset = default;
        for (int i = 0; i < 3; i++)
        {
            await using var command = new NpgsqlCommand("SELECT clock_timestamp()", connection);
            long asked = _local.GetTimestamp();
            var there = (DateTime)(await command.ExecuteScalarAsync(cancellationToken))!;
            DateTimeOffset here = _local.GetUtcNow();
            TimeSpan took = _local.GetElapsedTime(asked);
            if (took < quickest)
            {
                (quickest, offset) = (took, new DateTimeOffset(there, TimeSpan.Zero) - (here - (took / 2)));
            }
        }

        Volatile.Write(ref _offset, offset.Ticks);
    }
}

/// <summary>Keeps a <see cref="DatabaseTime"/> true, and tells operators of a clock that is wrong.</summary>
internal sealed partial class DatabaseTimeKeeper(DatabaseTime clock, NpgsqlDataSource database, TimeProvider time, IMeterFactory meters, ILogger<DatabaseTimeKeeper> logger)
    : BackgroundService, IHealthCheck
{
    // A clock drifts by a tenth of a millisecond meanwhile, and one that is set is noticed soon.
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(5);

    /// <inheritdoc/>
    public Task<HealthCheckResult> CheckHealthAsync(HealthCheckContext context, CancellationToken cancellationToken = default) =>
        Task.FromResult(clock.Fault is { } fault ? HealthCheckResult.Degraded(fault) : HealthCheckResult.Healthy());

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        meters.Create("MultiCluster.Silo").CreateObservableGauge(
            "multicluster.silo.clock.offset", () => -clock.Offset.TotalSeconds, "s", "How far the clock of this machine is ahead of the database's.");
        bool hasTold = false;
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            do
            {
                try
                {
                    await clock.LookAsync(database, stoppingToken);
                }
                catch (NpgsqlException e)
                {
                    LogNotRead(logger, e);
                }

                string? fault = clock.Fault;
                if (fault is not null && !hasTold)
                {
                    LogWrong(logger, fault);
                }

                hasTold = fault is not null;
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The process stops.
        }
    }

    [LoggerMessage(6120, LogLevel.Warning, "{Fault}", EventName = "ClockWrong")]
    private static partial void LogWrong(ILogger logger, string fault);

    [LoggerMessage(6121, LogLevel.Debug, "The clock of the database could not be read; going on from the last time.", EventName = "ClockNotRead")]
    private static partial void LogNotRead(ILogger logger, Exception exception);
}
