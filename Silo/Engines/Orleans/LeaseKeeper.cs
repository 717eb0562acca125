using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MultiCluster.Grains.Cluster;
using MultiCluster.Silo.Database;
using MultiCluster.Silo.Hosting;
using Npgsql;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>Holds this silo's lease, and stops it acting for its clusters before another silo may take them.</summary>
/// <remarks>
/// <para>A lease that cannot be renewed is no proof that another takes over: while the database is away nobody can. So the silo goes on as
/// long as it reaches every silo that it last knew; one that is out of reach may have the database on its side, and then this one stops.</para>
/// <para>It goes on when it has renewed. A lease that others have ended is lost for good: the process ends, to be started again.</para>
/// </remarks>
internal sealed partial class LeaseKeeper(
    SiloLeases leases,
    NpgsqlDataSource database,
    LocalClusters clusters,
    ILocalSiloDetails silo,
    IClusterMembershipService membership,
    IHostApplicationLifetime lifetime,
    TimeProvider time,
    ILogger<LeaseKeeper> logger) : IHostedLifecycleService, IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan RenewTimeout = TimeSpan.FromMilliseconds(800);
    private static readonly TimeSpan ReachTimeout = TimeSpan.FromMilliseconds(500);

    // For how long a silo that was declared dead may take to stop.
    private static readonly TimeSpan StopWithin = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _stopping = new();
    private Task _keeping = Task.CompletedTask;
    private Task<bool>? _renewing;
    private long _askedAt;
    private long _renewedAt;
    private ITimer? _deadline;
    private bool _isLost;
    private bool _isEnding;

    private string Name => silo.SiloAddress.ToParsableString();

    /// <summary>Whether others may have taken over, or have.</summary>
    public bool IsLost => Volatile.Read(ref _isLost);

    /// <summary>Takes the lease and keeps it. Before the host starts, so that a silo that may not start says so in one sentence.</summary>
    /// <exception cref="ServiceStartException">Another process is this silo.</exception>
    /// <exception cref="DatabaseException">The database cannot be used.</exception>
    public async Task AcquireAsync(CancellationToken cancellationToken)
    {
        long asked = time.GetTimestamp();
        bool isMine;
        try
        {
            isMine = await leases.AcquireAsync(Name, silo.SiloAddress.Endpoint.ToString(), cancellationToken);
        }
        catch (NpgsqlException e)
        {
            throw DatabaseException.From(e, database.ConnectionString);
        }

        if (!isMine)
        {
            throw new ServiceStartException(
                $"Another process runs as the silo {silo.SiloAddress.Endpoint} of this service; stop it, or give this one its own SiloNetwork:ListenSilo or SiloNetwork:AdvertisedAddress.");
        }

        _renewedAt = asked;
        _keeping = KeepAsync(_stopping.Token);
    }

    /// <summary>Nothing lives here any more, and the silo is about to end: it will call itself dead, which is no loss.</summary>
    public void BeginEnd() => Volatile.Write(ref _isEnding, true);

    /// <summary>The others have declared this silo dead: it stops to act at once, and ends, unless it does so already.</summary>
    public void Lose()
    {
        clusters.Suspend();
        if (Volatile.Read(ref _isEnding) || Interlocked.Exchange(ref _isLost, true))
        {
            return;
        }

        LogLost(logger);
        _deadline = time.CreateTimer(static _ => EndNow(), state: null, StopWithin, Timeout.InfiniteTimeSpan);
        lifetime.StopApplication();
    }

    // Nothing here is of use to anybody any more, and whoever starts the process again waits for its end.
    private static void EndNow()
    {
        Console.Error.WriteLine(ServiceReplacedException.DeclaredDead);
        Environment.Exit(1);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>After the silo has let all its grains go.</summary>
    public async Task StoppedAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        await _keeping;
        try
        {
            await leases.ReleaseAsync(Name, cancellationToken);
        }
        catch (NpgsqlException e)
        {
            LogNotReleased(logger, e, SiloLeases.Lease);
        }
    }

    public void Dispose()
    {
        _deadline?.Dispose();
        _stopping.Dispose();
    }

    private async Task KeepAsync(CancellationToken stop)
    {
        Task<bool>? reaching = null;
        try
        {
            while (!IsLost)
            {
                _askedAt = _renewing is null ? time.GetTimestamp() : _askedAt;   // a renewal holds from when it was asked for
                bool? renewed = await TryRenewAsync(stop);
                TimeSpan since = time.GetElapsedTime(_renewedAt);
                if (renewed == true)
                {
                    if (since > SiloLeases.Lease - SiloLeases.Margin)
                    {
                        LogRenewedAgain(logger, since);
                    }

                    _renewedAt = _askedAt;
                    reaching = null;
                    clusters.Resume();
                }
                else if (renewed == false)
                {
                    Lose();
                    return;
                }
                else
                {
                    reaching = reaching is null or { IsCompleted: true } ? ReachesAllAsync(stop) : reaching;
                    if (since > SiloLeases.Lease - SiloLeases.Margin - ReachTimeout - Period && !clusters.IsSuspended && !await reaching)
                    {
                        clusters.Suspend();
                        LogSuspended(logger, since);
                    }
                }

                await Task.Delay(Period, time, stop);
            }
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The silo has stopped.
        }
    }

    /// <summary>Whether the lease is renewed; null where the database does not say in time.</summary>
    /// <remarks>A renewal that hangs is waited for again the next time, not cancelled: the driver would block a thread to tell the server.</remarks>
    private async Task<bool?> TryRenewAsync(CancellationToken stop)
    {
        _renewing ??= leases.RenewAsync(Name, CancellationToken.None);
        try
        {
            bool renewed = await _renewing.WaitAsync(RenewTimeout, time, stop);
            _renewing = null;
            return renewed;
        }
        catch (TimeoutException) when (_renewing is { IsCompleted: false })
        {
            return null;
        }
        catch (Exception e) when (e is NpgsqlException or TimeoutException)
        {
            _renewing = null;
            LogNotRenewed(logger, e);
            return null;
        }
    }

    /// <summary>Whether every other silo that was active when the database was last heard of can be connected to.</summary>
    private async Task<bool> ReachesAllAsync(CancellationToken stop)
    {
        IEnumerable<IPEndPoint> others = membership.CurrentSnapshot.Members.Values
            .Where(member => member.Status == SiloStatus.Active && !member.SiloAddress.Equals(silo.SiloAddress))
            .Select(member => member.SiloAddress.Endpoint);
        bool[] reached = await Task.WhenAll(others.Select(other => ReachesAsync(other, stop)));
        return reached.All(one => one);
    }

    private async Task<bool> ReachesAsync(IPEndPoint other, CancellationToken stop)
    {
        using var timeout = new CancellationTokenSource(ReachTimeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
        using var socket = new Socket(other.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(other, either.Token);
            return true;
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException)
        {
            return false;
        }
    }

    [LoggerMessage(6110, LogLevel.Debug, "The lease of this silo could not be renewed; trying again.", EventName = "LeaseNotRenewed")]
    private static partial void LogNotRenewed(ILogger logger, Exception exception);

    [LoggerMessage(6111, LogLevel.Error, "Neither the database nor every other silo has been reached for {Time}: this silo stops acting for its clusters until it is back, since others may take them over.", EventName = "LeaseSuspended")]
    private static partial void LogSuspended(ILogger logger, TimeSpan time);

    [LoggerMessage(6112, LogLevel.Warning, "The lease of this silo is renewed again, after {Time} without the database.", EventName = "LeaseRenewedAgain")]
    private static partial void LogRenewedAgain(ILogger logger, TimeSpan time);

    [LoggerMessage(6113, LogLevel.Critical, "Other silos have declared this one dead and have taken its clusters over; it ends, and can be started again.", EventName = "LeaseLost")]
    private static partial void LogLost(ILogger logger);

    [LoggerMessage(6114, LogLevel.Warning, "The lease of this silo could not be given back; others wait {Time} before they take over what it left.", EventName = "LeaseNotReleased")]
    private static partial void LogNotReleased(ILogger logger, Exception exception, TimeSpan time);
}
