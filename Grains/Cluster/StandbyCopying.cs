namespace MultiCluster.Grains.Cluster;

/// <summary>The making of a copy beside the calls that ask for it, since those have a deadline.</summary>
/// <remarks>Owned by the standby's grain, one call at a time.</remarks>
/// <param name="time">For the pause after a copy that broke off.</param>
internal sealed class StandbyCopying(TimeProvider time) : IDisposable
{
    // A copy that breaks off is begun anew, for as long as somebody asks for it.
    private static readonly TimeSpan AgainAfter = TimeSpan.FromSeconds(2);

    private Task<ClusterStandby?>? _copying;
    private CancellationTokenSource? _stop;
    private long? _endedAt;

    /// <summary>The copy, once it is whole, and no longer this one's to end; null until then.</summary>
    /// <param name="begin">Makes a copy; null where it broke off. It is called when none is under way and the last is a while ago.</param>
    public async Task<ClusterStandby?> TakeAsync(Func<CancellationToken, Task<ClusterStandby?>> begin)
    {
        if (_copying is null && (_endedAt is not { } ended || time.GetElapsedTime(ended) >= AgainAfter))
        {
            _stop = new CancellationTokenSource();
            _copying = begin(_stop.Token);
        }

        if (_copying is not { IsCompleted: true } done)
        {
            return null;
        }

        End();
        return await done;
    }

    /// <summary>Ends a copy that is under way, with what has come of it.</summary>
    public async Task CancelAsync()
    {
        if (_copying is not { } copying)
        {
            return;
        }

        await _stop!.CancelAsync();
        ClusterStandby? late = await copying;
        End();
        if (late is not null)
        {
            await late.Session.StopAsync(letGo: false);
        }
    }

    public void Dispose() => _stop?.Dispose();

    private void End()
    {
        _copying = null;
        _endedAt = time.GetTimestamp();
        _stop?.Dispose();
        _stop = null;
    }
}
