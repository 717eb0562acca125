using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>Ticks the registered reminders. Thread-safe.</summary>
internal sealed partial class ReminderService(
    IReminderTable table, IGrainFactory grains, IOptions<ReminderOptions> options, TimeProvider time, ILogger<ReminderService> logger) : IDisposable
{
    // Timers take about 49 days at most; a far reminder is looked at again before that.
    private static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<(GrainId, string), Ticking> _ticking = [];
    private bool _stopped;

    public async Task StartAsync()
    {
        await table.StartAsync();
        foreach (ReminderEntry entry in (await table.ReadRows(0, 0)).Reminders)
        {
            Tick(entry);
        }
    }

    public async Task<IGrainReminder> RegisterAsync(GrainId grain, string name, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentOutOfRangeException.ThrowIfLessThan(dueTime, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfLessThan(period, TimeSpan.Zero);
        if (period < options.Value.MinimumReminderPeriod || period == TimeSpan.Zero)
        {
            throw new ArgumentException(
                $"Reminder \"{name}\" has a period of {period}; the shortest allowed is {options.Value.MinimumReminderPeriod}.", nameof(period));
        }

        var entry = new ReminderEntry { GrainId = grain, ReminderName = name, StartAt = time.GetUtcNow().UtcDateTime + dueTime, Period = period };
        entry.ETag = await table.UpsertRow(entry)
            ?? throw new ReminderException($"Reminder \"{name}\" was written by somebody else at the same time. Try again.");
        Tick(entry);
        return new Handle(name, entry.ETag);
    }

    public async Task UnregisterAsync(GrainId grain, IGrainReminder reminder)
    {
        ArgumentNullException.ThrowIfNull(reminder);
        if (!await table.RemoveRow(grain, reminder.ReminderName, ((Handle)reminder).Etag)
            && await table.ReadRow(grain, reminder.ReminderName) is not null)
        {
            throw new ReminderException($"Reminder \"{reminder.ReminderName}\" was registered anew since it was read. Read it again.");
        }

        lock (_gate)
        {
            if (_ticking.Remove((grain, reminder.ReminderName), out Ticking? ticking))
            {
                ticking.Dispose();
            }
        }
    }

    public async Task<IGrainReminder?> GetAsync(GrainId grain, string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        return await table.ReadRow(grain, name) is { } entry ? new Handle(name, entry.ETag!) : null;
    }

    public async Task<List<IGrainReminder>> GetAllAsync(GrainId grain) =>
        [.. (await table.ReadRows(grain)).Reminders.Select(static e => new Handle(e.ReminderName, e.ETag!))];

    public void Dispose()
    {
        lock (_gate)
        {
            _stopped = true;
            foreach (Ticking ticking in _ticking.Values)
            {
                ticking.Dispose();
            }
        }
    }

    /// <summary>The first tick time that is not before now: start + n periods.</summary>
    internal static DateTime NextTick(ReminderEntry entry, DateTime now)
    {
        long late = now.Ticks - entry.StartAt.Ticks;
        long periods = late <= 0 ? 0 : (late + entry.Period.Ticks - 1) / entry.Period.Ticks;
        return entry.StartAt.AddTicks(periods * entry.Period.Ticks);
    }

    private void Tick(ReminderEntry entry)
    {
        lock (_gate)
        {
            if (_ticking.Remove((entry.GrainId, entry.ReminderName), out Ticking? before))
            {
                before.Dispose();
            }

            if (!_stopped)
            {
                _ticking[(entry.GrainId, entry.ReminderName)] = new Ticking(this, entry);
            }
        }
    }

    private sealed record Handle(string ReminderName, string Etag) : IGrainReminder;

    /// <summary>One reminder; its ticks never overlap.</summary>
    private sealed class Ticking : IDisposable
    {
        private readonly ReminderService _service;
        private readonly ReminderEntry _entry;
        private readonly ITimer _timer;
        private DateTime _next;
        private volatile bool _ended;

        public Ticking(ReminderService service, ReminderEntry entry)
        {
            (_service, _entry) = (service, entry);
            _next = NextTick(entry, Now);
            using AsyncFlowControl? suppressed = ExecutionContext.IsFlowSuppressed() ? null : ExecutionContext.SuppressFlow();
            _timer = service.Time.CreateTimer(
                static self => ((Ticking)self!).OnDue(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            Arm();
        }

        private DateTime Now => _service.Time.GetUtcNow().UtcDateTime;

        public void Dispose()
        {
            _ended = true;
            _timer.Dispose();
        }

        private void Arm()
        {
            TimeSpan wait = _next - Now;
            _timer.Change(wait <= TimeSpan.Zero ? TimeSpan.Zero : wait < LongestWait ? wait : LongestWait, Timeout.InfiniteTimeSpan);
        }

        private void OnDue()
        {
            if (Now < _next)
            {
                Arm();
            }
            else
            {
                _ = TickAsync();   // logs its failures
            }
        }

        private async Task TickAsync()
        {
            if (_ended)
            {
                return;
            }

            try
            {
                await _service.Grains.GetGrain<IRemindable>(_entry.GrainId)
                    .ReceiveReminder(_entry.ReminderName, new TickStatus(_entry.StartAt, _entry.Period, Now));
            }
            catch (Exception e)
            {
                LogTickFailed(_service.Logger, e, _entry.ReminderName, _entry.GrainId);
            }

            if (!_ended)
            {
                // Ticks that a long one ran over are skipped.
                _next = NextTick(_entry, Now <= _next ? _next.AddTicks(1) : Now);
                Arm();
            }
        }
    }

    private TimeProvider Time => time;

    private IGrainFactory Grains => grains;

    private ILogger Logger => logger;

    [LoggerMessage(7011, LogLevel.Warning, "Reminder {Reminder} could not be delivered to grain {Grain}; the next tick comes all the same.", EventName = "ReminderTickFailed")]
    private static partial void LogTickFailed(ILogger logger, Exception exception, string reminder, GrainId grain);
}
