using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Text;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Discovery;
using MultiCluster.Simulator.Faults;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Protocol;

/// <summary>Answers one watch.</summary>
/// <remarks>
/// Pulls from the kept history instead of queueing: a client that reads slowly costs nothing, and one that falls behind the
/// history is cut off, as by the real watch cache.
/// </remarks>
internal sealed class WatchHandler
{
    // The real server sends bookmarks about once a minute, and one shortly before a watch ends at its timeout.
    private static readonly TimeSpan BookmarkPeriod = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan BookmarkBeforeEnd = TimeSpan.FromSeconds(2);

    // --min-request-timeout: without timeoutSeconds a watch lives between this and twice this.
    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromMinutes(30);

    private const int BatchSize = 128;
    private const int FlushAt = 256 * 1024;

    private readonly Exchange _exchange;
    private readonly ApiResource _resource;
    private readonly ListQuery _query;
    private readonly Negotiation _negotiation;
    private readonly ClusterStore _store;
    private readonly string? _namespace;
    private readonly OpenWatch _watch;
    private bool _columnsSent;
    private long _seen;

    private WatchHandler(Exchange exchange, ListQuery query, Negotiation negotiation, OpenWatch watch)
    {
        _watch = watch;
        (_exchange, _resource, _query, _negotiation) = (exchange, exchange.Resource, query, negotiation);
        _store = exchange.Server.Store;
        _namespace = _resource.Namespaced && exchange.Target.Namespace.Length > 0 ? exchange.Target.Namespace : null;
    }

    private PipeWriter Body => _exchange.Http.Response.BodyWriter;

    private bool PassesDirectly => _negotiation.Form == BodyForm.Object && !VersionConversion.Reshapes(_resource);

    public static async Task RunAsync(Exchange exchange)
    {
        Negotiation negotiation = Negotiation.Of(exchange.Http.Request, watch: true);
        ListQuery query = ListQuery.Parse(exchange.Http.Request, exchange.Target, exchange.Resource, exchange.Server.WatchList);
        if (query.SendInitialEvents == true && negotiation.Form == BodyForm.Table)
        {
            throw Refusal.UnknownTransform();
        }

        if (query.SendInitialEvents == true)
        {
            await ReadHandlers.WaitForRevisionAsync(exchange, query.Revision);
        }

        OpenWatch watch = exchange.Server.Faults.Opened(exchange.Target.Plural);
        try
        {
            await new WatchHandler(exchange, query, negotiation, watch).RunAsync();
        }
        finally
        {
            exchange.Server.Faults.Closed(watch);
        }
    }

    private async Task RunAsync()
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(_exchange.Aborted, _exchange.Server.Stopping);
        TimeProvider time = _exchange.Server.Time;
        TimeSpan timeout = _query.Timeout ?? DefaultTimeout;
        using ITimer ending = time.CreateTimer(_ => Cancel(end), null, timeout, Timeout.InfiniteTimeSpan);
        using var bookmarks = new BookmarkClock(time, BookmarkPeriod, timeout > BookmarkBeforeEnd ? timeout - BookmarkBeforeEnd : TimeSpan.Zero, _query.AllowBookmarks);

        _exchange.Http.Response.StatusCode = 200;
        _exchange.Http.Response.ContentType = "application/json";
        await _exchange.Http.Response.StartAsync(end.Token);
        try
        {
            if (await BeginAsync(end.Token))
            {
                await Body.FlushAsync(end.Token);
                await FollowAsync(bookmarks, end.Token);
            }

            await Body.FlushAsync(_exchange.Aborted);
        }
        catch (OperationCanceledException) when (end.IsCancellationRequested && !_exchange.Aborted.IsCancellationRequested)
        {
            // The timeout, or a stop in good order: the stream ends cleanly, without an event.
        }
    }

    /// <summary>Writes what comes before the changes; false when the watch is over already.</summary>
    private async Task<bool> BeginAsync(CancellationToken stop)
    {
        bool fromNow = _query.ResourceVersion is "" or "0";
        bool initial = _query.SendInitialEvents ?? fromNow;
        if (!initial)
        {
            _seen = fromNow ? _store.Revision : _query.Revision;
            long floor = _store.Floor(_resource.Storage);
            if (_seen < floor)
            {
                WriteError(Refusal.TooOld(_seen, floor));
                return false;
            }

            return true;
        }

        (OrderedObjects objects, _seen) = _store.Snapshot(_resource.Storage);
        foreach (StoredObject obj in objects.Range(_namespace))
        {
            if (ReadHandlers.Matches(_query, obj))
            {
                WriteEvent("ADDED"u8, obj, obj.Revision);
                if (Body.UnflushedBytes >= FlushAt)
                {
                    await Body.FlushAsync(stop);
                }
            }
        }

        if (_query.SendInitialEvents == true && _query.AllowBookmarks)
        {
            WriteBookmark(_seen, endOfInitialEvents: true);
        }

        return true;
    }

    private async Task FollowAsync(BookmarkClock bookmarks, CancellationToken stop)
    {
        long started = _seen;
        var batch = new StoredChange[BatchSize];
        while (true)
        {
            Task bookmarkDue = bookmarks.Due;
            Task modeChanged = _watch.Changed;

            // Read once: a watch that is woken between two looks at its mode must go on, not end.
            WatchMode mode = _watch.Mode;
            if (mode != WatchMode.Normal)
            {
                if (!await MisbehaveAsync(mode, modeChanged, stop))
                {
                    return;
                }

                continue;
            }

            if (!_store.TryRead(_resource.Storage, _seen, batch, out int read, out Task next, out bool closed))
            {
                // Fell behind the history: the real server drops such a client, which then learns that it is too late.
                return;
            }

            for (int i = 0; i < read; i++)
            {
                WriteChange(batch[i]);
                _seen = batch[i].Revision;
                if (Body.UnflushedBytes >= FlushAt)
                {
                    await Body.FlushAsync(stop);
                }
            }

            Array.Clear(batch, 0, read);
            if (closed)
            {
                return;
            }

            if (bookmarkDue.IsCompleted)
            {
                bookmarks.Rearm();
                long now = _store.Revision;
                if (now > started && read == 0 && !_exchange.Server.Faults.DropBookmarks)
                {
                    WriteBookmark(now, endOfInitialEvents: false);
                }
            }

            await Body.FlushAsync(stop);
            if (read == 0)
            {
                Task bookmark = bookmarks.Due;
                _watch.Rests = new WatchRest(next, bookmark, modeChanged, stop);
                await Task.WhenAny(next, bookmark, modeChanged).WaitAsync(stop);
            }
        }
    }

    /// <summary>Does what the fault switchboard wants of this watch; true when it goes on.</summary>
    private async Task<bool> MisbehaveAsync(WatchMode mode, Task modeChanged, CancellationToken stop)
    {
        switch (mode)
        {
            case WatchMode.Silent:
                await modeChanged.WaitAsync(stop);
                return true;
            case WatchMode.Expire:
                WriteError(Refusal.TooOld(_seen, _store.Revision));
                return false;
            case WatchMode.Cut:
                Body.Write("{\"type\":\"MODIFIED\",\"object\":{\"kind\":\""u8);
                await Body.FlushAsync(stop);
                _exchange.Http.Abort();
                return false;
            default:
                return false;
        }
    }

    private void WriteChange(StoredChange change)
    {
        StoredObject any = change.After ?? change.Before!;
        if (_namespace is not null && any.Namespace != _namespace)
        {
            return;
        }

        bool before = change.Before is not null && ReadHandlers.Matches(_query, change.Before);
        bool after = change.After is not null && ReadHandlers.Matches(_query, change.After);
        switch (before, after)
        {
            case (false, true):
                WriteEvent("ADDED"u8, change.After!, change.Revision);
                break;
            case (true, true):
                WriteEvent("MODIFIED"u8, change.After!, change.Revision);
                break;
            case (true, false):
                // What leaves the selection is shown as it was, with the revision of the change.
                WriteEvent("DELETED"u8, change.Before!, change.Revision);
                break;
        }
    }

    private void WriteEvent(ReadOnlySpan<byte> type, StoredObject obj, long revision)
    {
        if (PassesDirectly)
        {
            WriteStart(type);
            obj.WriteTo(Body, _resource.Head, revision);
            Body.Write("}\n"u8);
            return;
        }

        JsonObject tree = obj.ToTree();
        tree["metadata"]!["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture);
        WriteTree(type, Transform(Exchange.Typed(_resource, tree), revision));
    }

    private void WriteBookmark(long revision, bool endOfInitialEvents)
    {
        var metadata = new JsonObject { ["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture) };
        if (_resource.Custom is null)
        {
            metadata["creationTimestamp"] = null;
        }

        if (endOfInitialEvents)
        {
            string blueprint = $$"""{"kind":"{{_resource.ListKind}}","apiVersion":"{{_resource.ApiVersion}}","metadata":{},"items":null}""" + "\n";
            metadata["annotations"] = new JsonObject
            {
                ["k8s.io/initial-events-end"] = "true",
                ["kubernetes.io/initial-events-list-blueprint"] = Convert.ToBase64String(Encoding.UTF8.GetBytes(blueprint)),
            };
        }

        var bookmark = new JsonObject { ["kind"] = _resource.Kind, ["apiVersion"] = _resource.ApiVersion, ["metadata"] = metadata };
        if (_negotiation.Form == BodyForm.Table)
        {
            bookmark["metadata"]!["name"] = "";
            WriteTree("BOOKMARK"u8, Transform(bookmark, revision));
            return;
        }

        WriteTree("BOOKMARK"u8, _negotiation.Form == BodyForm.PartialMetadata ? Exchange.PartialMetadata(bookmark, _negotiation) : bookmark);
    }

    private void WriteError(StatusException refusal) => WriteTree("ERROR"u8, refusal.ToStatus());

    private JsonObject Transform(JsonObject typed, long revision)
    {
        switch (_negotiation.Form)
        {
            case BodyForm.PartialMetadata:
                return Exchange.PartialMetadata(typed, _negotiation);
            case BodyForm.Table:
                bool columns = !_columnsSent;
                _columnsSent = true;
                return _exchange.Server.Tables.Render(
                    _resource, [typed], new JsonObject { ["resourceVersion"] = revision.ToString(CultureInfo.InvariantCulture) }, _exchange, columns);
            default:
                return typed;
        }
    }

    private void WriteTree(ReadOnlySpan<byte> type, JsonObject tree)
    {
        WriteStart(type);
        JsonTree.Write(Body, tree);
        Body.Write("}\n"u8);
    }

    private void WriteStart(ReadOnlySpan<byte> type)
    {
        Body.Write("{\"type\":\""u8);
        Body.Write(type);
        Body.Write("\",\"object\":"u8);
    }

    private static void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // The timer fired while the watch was ending anyway.
        }
    }
}

/// <summary>Says when the next bookmark is due: each period, and once shortly before the end.</summary>
internal sealed class BookmarkClock : IDisposable
{
    private readonly ITimer? _periodic;
    private readonly ITimer? _last;
    private TaskCompletionSource _due = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="time">Clock.</param>
    /// <param name="period">Between bookmarks.</param>
    /// <param name="last">When the last one is due, counted from now.</param>
    /// <param name="enabled">False never fires.</param>
    public BookmarkClock(TimeProvider time, TimeSpan period, TimeSpan last, bool enabled)
    {
        if (enabled)
        {
            _periodic = time.CreateTimer(_ => Fire(), null, period, period);
            _last = time.CreateTimer(_ => Fire(), null, last, Timeout.InfiniteTimeSpan);
        }
    }

    /// <summary>Completes when a bookmark is due.</summary>
    public Task Due => Volatile.Read(ref _due).Task;

    /// <summary>Waits for the next one.</summary>
    public void Rearm() => Volatile.Write(ref _due, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

    public void Dispose()
    {
        _periodic?.Dispose();
        _last?.Dispose();
    }

    private void Fire() => Volatile.Read(ref _due).TrySetResult();
}
