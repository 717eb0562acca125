using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using MultiCluster.Clusters;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Errors;

namespace MultiCluster.Grains.Cluster;

/// <summary>The kinds of one cluster as its supervisor sees them. Immutable; the mirrors in it go on living.</summary>
internal sealed record MirrorView
{
    public static readonly MirrorView Empty = new();

    /// <summary>What the cluster serves; null until it was first read.</summary>
    public ApiSurface? Surface { get; init; }

    /// <summary>What is mirrored, by group-resource.</summary>
    public ImmutableSortedDictionary<string, KindMirror> Mirrored { get; init; } = ImmutableSortedDictionary.Create<string, KindMirror>(StringComparer.Ordinal);

    /// <summary>What is served and left out, by group-resource.</summary>
    public ImmutableSortedDictionary<string, ResourceType> LeftOut { get; init; } = ImmutableSortedDictionary.Create<string, ResourceType>(StringComparer.Ordinal);

    /// <summary>What keeps discovery from being read; null where nothing does.</summary>
    public ClusterFault? DiscoveryFault { get; init; }

    /// <summary>Reads of discovery that failed in a row.</summary>
    public int DiscoveryFailures { get; init; }
}

/// <summary>Decides which kinds of one cluster are mirrored, and looks after each.</summary>
/// <remarks>
/// One loop runs <see cref="RunAsync"/> and alone starts and stops kinds. <see cref="Current"/>, <see cref="SetScope"/>,
/// <see cref="Hurry"/>, <see cref="HurryYoung"/> and <see cref="LookAgain"/> may be used from any thread.
/// </remarks>
internal sealed partial class MirrorSupervisor
{
    // A CRD is announced some time after its object appears, and by some servers only seconds later.
    private static readonly TimeSpan[] LooksAfterChange = [TimeSpan.Zero, TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(15)];

    private static readonly TimeSpan MostDiscoveryBackoff = TimeSpan.FromSeconds(30);

    private readonly MirrorParts _parts;
    private readonly DiscoveryReader _discovery;
    private readonly WakeSignal _wake;
    private readonly Lock _gate = new();
    private MirrorView _current = MirrorView.Empty;
    private MirrorScope _scope;
    private MirrorScope? _chosenScope;
    private string? _chosenHash;
    private DateTimeOffset _discoverAt;
    private DateTimeOffset _discoveredAt = DateTimeOffset.MinValue;
    private long _surfaceChangedAt;
    private int _looksLeft;
    private bool _hurry;
    private bool _hurryYoung;
    private CancellationTokenSource? _discovering;   // under _gate

    public MirrorSupervisor(MirrorParts parts, MirrorScope scope)
    {
        _parts = parts;
        _scope = scope;
        _discovery = new DiscoveryReader(parts.Client);
        _wake = new WakeSignal(parts.Time);
    }

    /// <summary>The latest view.</summary>
    public MirrorView Current => Volatile.Read(ref _current);

    /// <summary>Called after every look at the kinds, on the loop's thread.</summary>
    public Action? Looked { get; init; }

    /// <summary>Begins with what another has mirrored, before discovery was read. Only before <see cref="RunAsync"/>.</summary>
    public void Seed(MirrorSeed seed)
    {
        SelectedKinds chosen = KindSelection.Choose(seed.Surface.Resources, _scope, _parts.Options.DenyList);
        Publish(new MirrorView
        {
            Surface = seed.Surface,
            Mirrored = chosen.Mirrored.ToImmutableSortedDictionary(
                type => type.GroupResource, type => Make(type, _scope, seed.HeardAt.GetValueOrDefault(type.GroupResource)), StringComparer.Ordinal),
            LeftOut = chosen.LeftOut.ToImmutableSortedDictionary(type => type.GroupResource, type => type, StringComparer.Ordinal),
        });
    }

    /// <summary>Mirrors another set of kinds from now on.</summary>
    public void SetScope(MirrorScope scope)
    {
        Volatile.Write(ref _scope, scope);
        _wake.Set();
    }

    /// <summary>Tries at once again what fails: somebody has changed what stood in the way.</summary>
    public void Hurry()
    {
        Volatile.Write(ref _hurry, true);
        lock (_gate)
        {
            // A server that was silent has forgotten what it was asked; waiting for that answer would hold up everything else.
            _ = _discovering?.CancelAsync();
        }

        _wake.Set();
    }

    /// <summary>Says that the server is well: what failed a moment ago, perhaps because it was away, need not wait.</summary>
    public void HurryYoung()
    {
        Volatile.Write(ref _hurryYoung, true);
        _wake.Set();
    }

    /// <summary>Says that the set of kinds may have changed.</summary>
    public void LookAgain()
    {
        Volatile.Write(ref _surfaceChangedAt, _parts.Time.GetUtcNow().UtcTicks);
        _wake.Set();
    }

    /// <summary>Looks after the kinds until stopped, then stops them all; their objects stay.</summary>
    public async Task RunAsync(CancellationToken stop)
    {
        // A run before this one has stopped them.
        foreach (KindMirror kind in Current.Mirrored.Values)
        {
            kind.Start();
        }

        try
        {
            while (true)
            {
                await LookAsync(stop);
                await _wake.WaitAsync(_parts.Options.SuperviseInterval, stop);
            }
        }
        finally
        {
            await Task.WhenAll(Current.Mirrored.Values.Select(kind => kind.StopAsync()));
        }
    }

    /// <summary>Lets all objects go, as deletions that watches see. Only after <see cref="RunAsync"/> has ended.</summary>
    public async Task ClearAsync()
    {
        foreach (KindMirror kind in Current.Mirrored.Values)
        {
            await kind.RemoveAsync();
        }

        Publish(MirrorView.Empty with { Surface = Current.Surface });
        _chosenHash = null;
    }

    private async Task LookAsync(CancellationToken stop)
    {
        DateTimeOffset now = _parts.Time.GetUtcNow();
        if (Interlocked.Exchange(ref _hurry, false))
        {
            _discoverAt = now;
            foreach (KindMirror kind in Current.Mirrored.Values)
            {
                kind.Hurry();
            }
        }

        if (Interlocked.Exchange(ref _hurryYoung, false))
        {
            foreach (KindMirror kind in Current.Mirrored.Values)
            {
                kind.HurryIfYoung(now);
            }
        }

        if (Interlocked.Exchange(ref _surfaceChangedAt, 0) != 0)
        {
            _looksLeft = LooksAfterChange.Length;
            _discoverAt = Earliest(_discoverAt, now);
        }

        if (now >= _discoverAt && now - _discoveredAt >= _parts.Options.DiscoveryPause)
        {
            await DiscoverAsync(now, stop);
        }

        _parts.Mirror.ForgetOld();
        await ChooseAsync(now);
        foreach (KindMirror kind in Current.Mirrored.Values)
        {
            await kind.LookAfterAsync(now);
            if (kind.HasJustVanished())
            {
                LookAgain();
            }
        }

        Looked?.Invoke();
    }

    private async Task DiscoverAsync(DateTimeOffset now, CancellationToken stop)
    {
        _discoveredAt = now;
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(stop);
        lock (_gate)
        {
            _discovering = reading;
        }

        try
        {
            ApiSurface surface = await _discovery.ReadAsync(reading.Token);
            Publish(Current with { Surface = surface, DiscoveryFault = null, DiscoveryFailures = 0 });
            foreach (KindMirror kind in Current.Mirrored.Values.Where(kind => kind.Status.Vanished && surface.Find(kind.Type.Group, kind.Type.Version, kind.Type.Plural) is not null))
            {
                kind.Hurry();   // announced, so its 404 is likely over
            }

            _discoverAt = now + _parts.Options.DiscoveryInterval;
            if (_looksLeft > 0)
            {
                int next = LooksAfterChange.Length - --_looksLeft;
                _discoverAt = next < LooksAfterChange.Length ? now + (LooksAfterChange[next] - LooksAfterChange[next - 1]) : _discoverAt;
            }
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // Hurried: it is read again with the next look.
        }
        catch (KubeException e)
        {
            int failures = Current.DiscoveryFailures + 1;
            Publish(Current with { DiscoveryFault = ClusterFaults.From(e.Error), DiscoveryFailures = failures });
            TimeSpan backoff = TimeSpan.FromTicks(Math.Min(MostDiscoveryBackoff.Ticks, TimeSpan.FromSeconds(1).Ticks << Math.Min(failures - 1, 6)));
            _discoverAt = now + (backoff * (0.5 + (Random.Shared.NextDouble() * 0.5)));
            LogDiscoveryFailed(_parts.Logger, _parts.Cluster, e.Kind, e.Message);
        }
        finally
        {
            lock (_gate)
            {
                _discovering = null;
            }
        }
    }

    /// <summary>Brings the mirrors in line with what is served and wanted.</summary>
    private async Task ChooseAsync(DateTimeOffset now)
    {
        MirrorView view = Current;
        MirrorScope scope = Volatile.Read(ref _scope);
        if (view.Surface is not { } surface)
        {
            return;
        }

        bool isSame = surface.Hash == _chosenHash && ReferenceEquals(scope, _chosenScope);
        if (isSame && view.Mirrored.Values.All(kind => kind.MissingSince is null))
        {
            return;
        }

        SelectedKinds chosen = KindSelection.Choose(surface.Resources, scope, _parts.Options.DenyList);
        var unreadable = surface.Stale.Select(stale => stale.GroupVersion).ToHashSet(StringComparer.Ordinal);
        ImmutableSortedDictionary<string, KindMirror>.Builder next = view.Mirrored.ToBuilder();
        var wanted = chosen.Mirrored.ToDictionary(type => type.GroupResource, StringComparer.Ordinal);
        var served = surface.Resources.Select(type => type.GroupResource).ToHashSet(StringComparer.Ordinal);

        foreach ((string name, KindMirror kind) in view.Mirrored)
        {
            bool isWanted = wanted.TryGetValue(name, out ResourceType? type);
            bool hasOtherForm = isWanted && (type!.Version != kind.Type.Version || kind.HidesValues != HidesValues(type, scope));
            bool isMissing = !served.Contains(name) && !unreadable.Contains(kind.Type.ApiVersion);
            kind.MissingSince = isMissing ? kind.MissingSince ?? now : null;
            bool isGone = isMissing && IsGone(kind, now);
            bool isLeftOut = !isWanted && served.Contains(name);
            if (isGone || isLeftOut || hasOtherForm)
            {
                await kind.RemoveAsync();
                next.Remove(name);
                LogKindRemoved(_parts.Logger, _parts.Cluster, name);
            }
        }

        foreach (ResourceType type in chosen.Mirrored)
        {
            if (!next.ContainsKey(type.GroupResource))
            {
                KindMirror kind = Make(type, scope);
                kind.Start();
                next.Add(type.GroupResource, kind);
                LogKindAdded(_parts.Logger, _parts.Cluster, type.GroupResource);
            }
        }

        _chosenHash = surface.Hash;
        _chosenScope = scope;
        Publish(view with
        {
            Mirrored = next.ToImmutable(),
            LeftOut = chosen.LeftOut.ToImmutableSortedDictionary(type => type.GroupResource, type => type, StringComparer.Ordinal),
        });
    }

    // A server that has just started lists its own kinds only, and for a moment answers 404 for all others. Deleting what it
    // forgot to name would look like the loss of every custom resource, so it must persist in it.
    private bool IsGone(KindMirror kind, DateTimeOffset now)
        => now - kind.MissingSince >= (kind.Status.Vanished ? _parts.Options.VanishedAfter : 10 * _parts.Options.VanishedAfter);

    private KindMirror Make(ResourceType type, MirrorScope scope, DateTimeOffset? heardAt = null)
    {
        bool announcesKinds = type.GroupResource is "customresourcedefinitions.apiextensions.k8s.io" or "apiservices.apiregistration.k8s.io";
        return new KindMirror(_parts, type, HidesValues(type, scope), announcesKinds ? LookAgain : null, heardAt);
    }

    private static bool HidesValues(ResourceType type, MirrorScope scope) => type is { Group: "", Plural: "secrets" } && !scope.SecretData;

    private void Publish(MirrorView view) => Volatile.Write(ref _current, view);

    private static DateTimeOffset Earliest(DateTimeOffset one, DateTimeOffset other) => one < other ? one : other;

    [LoggerMessage(4130, LogLevel.Debug, "Cluster {Cluster}: discovery failed, {Kind}: {Message}", EventName = "DiscoveryFailed")]
    private static partial void LogDiscoveryFailed(ILogger logger, string cluster, KubeErrorKind kind, string message);

    [LoggerMessage(4131, LogLevel.Debug, "Cluster {Cluster}: {Resource} is mirrored from now on.", EventName = "KindAdded")]
    private static partial void LogKindAdded(ILogger logger, string cluster, string resource);

    [LoggerMessage(4132, LogLevel.Debug, "Cluster {Cluster}: {Resource} is no longer mirrored.", EventName = "KindRemoved")]
    private static partial void LogKindRemoved(ILogger logger, string cluster, string resource);
}
