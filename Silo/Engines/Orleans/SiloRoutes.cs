using System.Net;
using Microsoft.Extensions.Logging;
using Orleans.Messaging;
using Orleans.Runtime;

namespace MultiCluster.Silo.Engines;

/// <summary>The silos over which a gateway's calls may lead: those that the database lists as running, but for one that hangs.</summary>
/// <remarks>
/// <para>A call to a grain leads over any silo, the same for each call to that grain, whether or not the grain lives there. One that hangs keeps its
/// connections, so that calls to healthy silos would be lost in it until the others have declared it dead; a way round it hurts nobody.</para>
/// <para>A silo is passed over once others have answered questions that were asked <see cref="Lag"/> later than the last that it has answered itself:
/// the comparison is of silos with each other, so that a gateway which stands still for a while blames nobody. One that has never answered is not
/// judged. After <see cref="PassedOverFor"/> it gets another chance; where it was declared dead meanwhile, it is not listed any more.</para>
/// <para>While the database is away the last list counts. Thread-safe.</para>
/// </remarks>
/// <param name="listed">Reads the list of running silos from the database.</param>
/// <param name="time">For ages.</param>
/// <param name="logger">Log.</param>
internal sealed partial class SiloRoutes(IGatewayListProvider listed, TimeProvider time, ILogger<SiloRoutes> logger) : IGatewayListProvider
{
    /// <summary>How far a silo may fall behind the others with its signs of life. A busy one has been seen to take a second.</summary>
    public static readonly TimeSpan Lag = TimeSpan.FromSeconds(2);

    /// <summary>For how long a silo is passed over; longer than the others take to declare it dead.</summary>
    public static readonly TimeSpan PassedOverFor = TimeSpan.FromSeconds(15);

    /// <summary>How often Orleans asks for the routes. The list in the database is read anew at <see cref="ListAge"/> only.</summary>
    public static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(250);

    /// <summary>Age at which the list is read anew, and for how long a silo that refused a connection is not tried again.</summary>
    public static readonly TimeSpan ListAge = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly Dictionary<IPEndPoint, long> _signs = [];        // when the last question was asked that it has answered
    private readonly Dictionary<IPEndPoint, long> _passedOver = [];   // since when
    private IReadOnlyList<Uri> _list = [];
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
    public Task InitializeGatewayListProvider() => listed.InitializeGatewayListProvider();

    /// <inheritdoc/>
    public async Task<IList<Uri>> GetGateways()
    {
        // A database that hangs must not hold up the news that a silo does.
        Task reading = Refresh();
        if (_list.Count == 0 || reading.IsCompleted)
        {
            await reading;
        }

        lock (_gate)
        {
            Uri[] responding = [.. _list.Where(silo => !_passedOver.ContainsKey(EndpointOf(silo)))];
            return responding.Length > 0 ? responding : [.. _list];
        }
    }

    /// <summary>Takes a sign of life.</summary>
    /// <param name="silo">Who has answered.</param>
    /// <param name="askedAt">Timestamp of the question.</param>
    public void Hear(IPEndPoint silo, long askedAt)
    {
        lock (_gate)
        {
            _signs[silo] = Math.Max(askedAt, _signs.GetValueOrDefault(silo, askedAt));
            Judge();
        }
    }

    private static IPEndPoint EndpointOf(Uri silo) => silo.ToIPEndPoint() ?? throw new InvalidOperationException($"{silo} is no address of a silo.");

    private Task Refresh()
    {
        TaskCompletionSource read;
        lock (_gate)
        {
            bool isDue = _reading is null || (_reading.IsCompleted && (_list.Count == 0 || time.GetElapsedTime(_readAt) >= ListAge));
            if (!isDue)
            {
                return _reading!;
            }

            read = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            (_reading, _readAt) = (read.Task, time.GetTimestamp());
        }

        _ = ReadAsync(read);
        return read.Task;
    }

    private async Task ReadAsync(TaskCompletionSource read)
    {
        try
        {
            Uri[] list = [.. await listed.GetGateways()];
            lock (_gate)
            {
                _list = list;
                HashSet<IPEndPoint> known = [.. list.Select(EndpointOf)];
                foreach (IPEndPoint gone in _signs.Keys.Where(silo => !known.Contains(silo)).ToArray())
                {
                    _signs.Remove(gone);
                    _passedOver.Remove(gone);
                }
            }

            read.SetResult();
        }
        catch (Exception e) when (_list.Count > 0)
        {
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
        foreach ((IPEndPoint silo, _) in _passedOver.Where(p => time.GetElapsedTime(p.Value) >= PassedOverFor).ToArray())
        {
            _passedOver.Remove(silo);
            _signs[silo] = newest;   // it is asked again, and has as long for an answer as at first
        }

        foreach ((IPEndPoint silo, long last) in _signs)
        {
            if (time.GetElapsedTime(last, newest) > Lag && _passedOver.TryAdd(silo, time.GetTimestamp()))
            {
                LogPassedOver(logger, silo, Lag.TotalSeconds);
            }
        }
    }

    [LoggerMessage(6161, LogLevel.Warning, "The silo at {Silo} has not answered for {Seconds} s while others did; calls to the others no longer lead over it.", EventName = "SiloPassedOver")]
    private static partial void LogPassedOver(ILogger logger, IPEndPoint silo, double seconds);

    [LoggerMessage(6162, LogLevel.Debug, "The list of silos could not be read; the last one counts.", EventName = "SiloListOld")]
    private static partial void LogListOld(ILogger logger, Exception error);
}
