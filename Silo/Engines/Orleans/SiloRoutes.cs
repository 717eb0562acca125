using System.Net;
using Microsoft.Extensions.Logging;
using Orleans.Messaging;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>The silos over which a gateway's calls may lead: those that the database lists as running, but for one that hangs or cannot be reached from here.</summary>
/// <remarks>
/// <para>A call to a grain leads over any silo, the same for each call to that grain, whether or not the grain lives there. One that hangs keeps its
/// connections, so that calls to healthy silos would be lost in it until the others have declared it dead.</para>
/// <para>A silo is suspected once another has answered <see cref="MostUnanswered"/> rounds of questions more than it has: silos are compared with each other, and
/// in rounds, so that a gateway which stands still for a while blames nobody. One that has never answered is not suspected. It is passed over if that
/// lasts for <see cref="Doubt"/>, and it does not renew its lease either or the database cannot say. One that renews it is passed over all the same
/// once it has been suspected for <see cref="OutOfReachAfter"/>: whatever lies between, calls to others must not be lost with it.</para>
/// <para>Whoever is passed over cannot be reached at all from here: it keeps its answers for a connection of its own. So it is taken back as soon as
/// it renews its lease, and after <see cref="PassedOverFor"/>, or <see cref="PassedOverBlindlyFor"/>, in any case, to be tried again. One that had renewed
/// it all the while is tried again after <see cref="PassedOverFor"/>, and each time in vain twice as late, up to <see cref="OutOfReachFor"/>.</para>
/// <para>While the database is away the last list counts. Thread-safe.</para>
/// </remarks>
/// <param name="readSilos">Reads the running silos from the database.</param>
/// <param name="time">For ages.</param>
/// <param name="logger">Log.</param>
internal sealed partial class SiloRoutes(Func<Task<IReadOnlyList<RunningSilo>>> readSilos, TimeProvider time, ILogger<SiloRoutes> logger) : IGatewayListProvider
{
    /// <summary>How often each silo is asked for a sign of life.</summary>
    public static readonly TimeSpan AskEvery = TimeSpan.FromMilliseconds(400);

    /// <summary>How many rounds a silo may fall behind another. With it, and with <see cref="Doubt"/>, the way round is open before a reader asks for the third time.</summary>
    public const int MostUnanswered = 4;

    /// <summary>For how long a silo is suspected at least: where all were held up by the same, one answers earlier than the other.</summary>
    public static readonly TimeSpan Doubt = TimeSpan.FromMilliseconds(250);

    /// <summary>For how long a silo is suspected that goes on renewing its lease: one that is only busy answers before.</summary>
    public static readonly TimeSpan OutOfReachAfter = TimeSpan.FromSeconds(4);

    /// <summary>For how long such a silo is passed over at most: a cut between this machine and that one is tried in vain for as long as it lasts.</summary>
    public static readonly TimeSpan OutOfReachFor = TimeSpan.FromMinutes(1);

    /// <summary>For how long a silo is passed over at most. The others declare one that hangs dead before that, unless the database is away.</summary>
    public static readonly TimeSpan PassedOverFor = TimeSpan.FromSeconds(10);

    /// <summary>The same while the database cannot say whether the silo lives: nobody declares it dead then, and it may be well.</summary>
    public static readonly TimeSpan PassedOverBlindlyFor = TimeSpan.FromSeconds(4);

    /// <summary>How often Orleans asks for the routes.</summary>
    public static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(100);

    /// <summary>Age at which the list is read anew, and for how long a silo that refused a connection is not tried again.</summary>
    public static readonly TimeSpan ListAge = TimeSpan.FromSeconds(2);

    // The same while a silo is suspected or passed over.
    private static readonly TimeSpan UrgentListAge = TimeSpan.FromSeconds(0.5);

    // A silo renews its lease every 0.4 s (LeaseKeeper): by then it has missed two renewals, or none.
    private static readonly TimeSpan Unrenewed = TimeSpan.FromSeconds(1.2);
    private static readonly TimeSpan Renewed = TimeSpan.FromSeconds(0.8);

    // What the database said longer ago says nothing.
    private static readonly TimeSpan DatabasePatience = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<IPEndPoint, long> _signs = [];        // the last round that it has answered
    private readonly Dictionary<IPEndPoint, long> _suspects = [];     // since when
    private readonly Dictionary<IPEndPoint, Detour> _passedOver = [];
    private readonly Dictionary<IPEndPoint, TimeSpan> _outOfReach = [];   // for how long they were passed over last, and have not answered since
    private IReadOnlyList<RunningSilo> _list = [];
    private long _listAsOf;     // no later than what the list says
    private long _failedAsOf;   // when the last question to the database began that it did not answer
    private Task? _reading;
    private long _readAt;

    /// <inheritdoc/>
    public TimeSpan MaxStaleness => ListAge;

    /// <inheritdoc/>
    public bool IsUpdatable => true;

    /// <summary>How many silos calls may lead over now.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return Math.Max(1, _list.Count - _passedOver.Count);
            }
        }
    }

    /// <inheritdoc/>
    public Task InitializeGatewayListProvider() => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task<IList<Uri>> GetGateways()
    {
        lock (_gate)
        {
            Judge();
        }

        // A database that hangs must not hold up the news that a silo does.
        Task reading = Refresh();
        if (_list.Count == 0 || reading.IsCompleted)
        {
            await reading;
        }

        lock (_gate)
        {
            RunningSilo[] responding = [.. _list.Where(silo => !_passedOver.ContainsKey(silo.Gateway))];
            return [.. (responding.Length > 0 ? responding : _list).Select(silo => SiloAddress.New(silo.Gateway, silo.Generation).ToGatewayUri())];
        }
    }

    /// <summary>Takes a sign of life.</summary>
    /// <param name="silo">Who has answered.</param>
    /// <param name="round">The round of the question.</param>
    public void Hear(IPEndPoint silo, long round)
    {
        lock (_gate)
        {
            _signs[silo] = Math.Max(round, _signs.GetValueOrDefault(silo, round));
            _outOfReach.Remove(silo);
        }
    }

    private Task Refresh()
    {
        TaskCompletionSource read;
        lock (_gate)
        {
            TimeSpan age = _suspects.Count + _passedOver.Count > 0 ? UrgentListAge : ListAge;
            bool isDue = _reading is null
                || (_reading.IsCompleted && (_list.Count == 0 || time.GetElapsedTime(_readAt) >= age || _suspects.Values.Any(since => since > _readAt)));
            if (!isDue)
            {
                return _reading!;
            }

            read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            (_reading, _readAt) = (read.Task, time.GetTimestamp());
        }

        _ = ReadAsync(read, _readAt);
        return read.Task;
    }

    private async Task ReadAsync(TaskCompletionSource read, long asOf)
    {
        try
        {
            IReadOnlyList<RunningSilo> list = await readSilos();
            lock (_gate)
            {
                (_list, _listAsOf) = (list, asOf);
                HashSet<IPEndPoint> known = [.. list.Select(silo => silo.Gateway)];
                foreach (IPEndPoint gone in _signs.Keys.Where(silo => !known.Contains(silo)).ToArray())
                {
                    _signs.Remove(gone);
                    _suspects.Remove(gone);
                    _passedOver.Remove(gone);
                    _outOfReach.Remove(gone);
                }

                Judge();
            }

            read.SetResult();
        }
        catch (Exception e) when (_list.Count > 0)
        {
            lock (_gate)
            {
                _failedAsOf = asOf;
            }

            LogListOld(logger, e);   // /readyz tells that the database is away; calls go on over the silos that were there
            read.SetResult();
        }
        catch (Exception e)
        {
            read.SetException(e);
        }
    }

    // Under _gate.
    private void Judge()
    {
        long newest = _signs.Values.DefaultIfEmpty().Max();
        foreach ((IPEndPoint silo, (long since, TimeSpan? most)) in _passedOver.ToArray())
        {
            bool isBack = most is null && _listAsOf > since && UnrenewedFor(silo) < Renewed;
            if (isBack || time.GetElapsedTime(since) >= (most ?? (IsListCurrent ? PassedOverFor : PassedOverBlindlyFor)))
            {
                _passedOver.Remove(silo);
                _signs[silo] = newest;   // it is asked again, and has as long for an answer as at first
                LogTakenBack(logger, silo);
            }
        }

        foreach ((IPEndPoint silo, long last) in _signs)
        {
            if (newest - last < MostUnanswered || _passedOver.ContainsKey(silo))
            {
                _suspects.Remove(silo);
            }
            else
            {
                _suspects.TryAdd(silo, time.GetTimestamp());
            }
        }

        foreach ((IPEndPoint silo, long since) in _suspects.ToArray())
        {
            bool isTold = _listAsOf >= since && IsListCurrent;
            bool isUnknown = _failedAsOf >= since || time.GetElapsedTime(since) > DatabasePatience;
            if (time.GetElapsedTime(since) >= Doubt && (isTold ? !(UnrenewedFor(silo) < Unrenewed) : isUnknown))
            {
                _suspects.Remove(silo);
                _passedOver.Add(silo, new Detour(time.GetTimestamp(), null));
                LogPassedOver(logger, silo, MostUnanswered);
            }
            else if (isTold && time.GetElapsedTime(since) >= OutOfReachAfter)
            {
                TimeSpan most = _outOfReach.TryGetValue(silo, out TimeSpan last) ? TimeSpan.FromTicks(Math.Min(2 * last.Ticks, OutOfReachFor.Ticks)) : PassedOverFor;
                _suspects.Remove(silo);
                _outOfReach[silo] = most;
                _passedOver.Add(silo, new Detour(time.GetTimestamp(), most));
                LogOutOfReach(logger, silo, OutOfReachAfter, most);
            }
        }
    }

    private bool IsListCurrent => time.GetElapsedTime(_listAsOf) < DatabasePatience;

    private TimeSpan? UnrenewedFor(IPEndPoint silo) => _list.FirstOrDefault(s => s.Gateway.Equals(silo))?.Unrenewed;

    /// <summary>Since when a silo is passed over, and for how long in any case; null where its lease says when it is back.</summary>
    private readonly record struct Detour(long Since, TimeSpan? Most);

    [LoggerMessage(6165, LogLevel.Warning, "The silo at {Silo} renews its lease, and this gateway has not heard of it for {Time} and more while it has heard of others: look at the network between them. Calls no longer lead over it for {Most}; what lives on it cannot be reached from here.", EventName = "SiloOutOfReach")]
    private static partial void LogOutOfReach(ILogger logger, IPEndPoint silo, TimeSpan time, TimeSpan most);

    [LoggerMessage(6161, LogLevel.Warning, "The silo at {Silo} has not answered the last {Questions} questions that others have; calls no longer lead over it until it renews its lease.", EventName = "SiloPassedOver")]
    private static partial void LogPassedOver(ILogger logger, IPEndPoint silo, int questions);

    [LoggerMessage(6164, LogLevel.Information, "The silo at {Silo} is tried again: it has renewed its lease, or was passed over for long enough.", EventName = "SiloTakenBack")]
    private static partial void LogTakenBack(ILogger logger, IPEndPoint silo);

    [LoggerMessage(6162, LogLevel.Debug, "The list of silos could not be read; the last one counts.", EventName = "SiloListOld")]
    private static partial void LogListOld(ILogger logger, Exception error);
}
