using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Watching;

/// <content>Watches, and lists streamed as their beginning.</content>
public sealed partial class Reflector
{
    // The server ends the watch itself at the timeout we asked for; this keeps a slow goodbye from counting as a dead connection.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan VeryShort = TimeSpan.FromSeconds(1);

    // A watch that heard nothing for this long may stand on a revision that its server does not know.
    private static readonly TimeSpan SuspiciousQuiet = TimeSpan.FromSeconds(90);

    // Changes that overtake the end of a streamed list wait for it; a list that is overtaken by more is read in one piece instead.
    private const int MaxHeldBytes = 64 * 1024 * 1024;

    private bool _verifyRevision;

    /// <summary>Watches until the watch ends.</summary>
    /// <param name="begun">A streamed list that goes on as the watch; null to open one.</param>
    /// <param name="stop">Stops.</param>
    private async Task<Outcome> WatchAsync(OpenWatch? begun, CancellationToken stop)
    {
        long start = _time.GetTimestamp();
        OpenWatch? watch = begun;
        try
        {
            if (watch is null)
            {
                Publish(status => status.Phase == ReflectorPhase.Watching ? status : status with { Phase = ReflectorPhase.Opening });
                if (_verifyRevision && await AskRevisionAsync(stop) is { } newest && newest.IsBefore(_revision))
                {
                    _verifyRevision = false;
                    return new Outcome(Attempt.Watch, Ending.WentBack, WentBack(newest));
                }

                _verifyRevision = false;
                TimeSpan timeout = DrawTimeout();
                KubeStream stream = await OpenAsync(_requests.Watch(_revision.ToString(), timeout), stop);
                watch = new OpenWatch(stream, timeout + Grace, _options.MaxObjectBytes, _time, stop);
                start = _time.GetTimestamp();
                Opened();
            }

            await PumpAsync(watch, stop);
            TimeSpan lived = _time.GetElapsedTime(start);
            bool nothing = watch.Frames == 0;
            _verifyRevision |= nothing && lived > SuspiciousQuiet;
            return new Outcome(Attempt.Watch, nothing && lived < VeryShort ? Ending.ClosedAtOnce : Ending.Closed);
        }
        catch (Exception e) when (IsOfServer(e, stop))
        {
            return Ended(e, watch, _time.GetElapsedTime(start));
        }
        finally
        {
            await DropAsync(watch);
        }
    }

    private Outcome Ended(Exception e, OpenWatch? watch, TimeSpan lived)
    {
        KubeError error = ErrorOf(e);
        if (e is FrameException frame)
        {
            return new Outcome(Attempt.Watch, frame.Ending, error);
        }

        if (watch is { Silence.IsSilent: true })
        {
            _verifyRevision = true;
            return new Outcome(Attempt.Watch, Ending.Silent, new KubeError(
                KubeErrorKind.Timeout, $"The watch was silent for {watch.Silence.Limit.TotalSeconds:0} s and was cut. Opening it again."));
        }

        if (watch is not null && e is not KubeException and not FormatException)
        {
            _verifyRevision = true;
            bool atOnce = watch.Frames == 0 && lived < VeryShort;
            return new Outcome(Attempt.Watch, atOnce ? Ending.ClosedAtOnce : Ending.Broken, error);
        }

        // Whoever did not answer may come back as another: from a backup, or behind a load balancer.
        Ending ending = WatchRecovery.EndingOf(error);
        _verifyRevision |= ending is Ending.Unreachable or Ending.TimedOut or Ending.ServerError;
        return new Outcome(Attempt.Watch, ending, error);
    }

    /// <summary>Reads an open watch to its end.</summary>
    private async Task PumpAsync(OpenWatch watch, CancellationToken stop)
    {
        while (true)
        {
            TakeFrames(watch);   // a streamed list may have left some
            if (await watch.FillAsync() == 0)
            {
                stop.ThrowIfCancellationRequested();
                if (watch.EndsInMiddle())
                {
                    throw new IOException("The watch broke off in the middle of an event.");
                }

                return;
            }
        }
    }

    private void TakeFrames(OpenWatch watch)
    {
        while (watch.TryRead(out WatchFrame frame))
        {
            Take(watch, frame);
            watch.Used(frame.Length);
        }
    }

    private void Take(OpenWatch watch, WatchFrame frame)
    {
        if (frame.Type == FrameType.Error)
        {
            KubeError error = _client.WatchErrorOf(frame.Object);
            throw new FrameException(WatchRecovery.EndingOf(error), error);
        }

        if (frame.Object.StartsWith("{\"kind\":\"Table\""u8))
        {
            throw new KubeException(KubeErrorKind.Protocol, "The watch sent a Table instead of objects. Listing again.");
        }

        Revision revision = EventMetadata.Read(frame.Object, wantsMark: false, out _);
        if (revision.IsBefore(_revision))
        {
            throw new FrameException(Ending.WentBack, WentBack(revision));
        }

        if (frame.Type == FrameType.Bookmark)
        {
            _sink.Bookmark(revision.ToString());
            BookmarkSeen(watch);
        }
        else
        {
            _sink.Apply(ChangeOf(frame.Type), frame.Object);
        }

        SetRevision(revision);
        Heard();
        _failuresBefore = 0;
    }

    private void BookmarkSeen(OpenWatch watch)
    {
        // Two may be the goodbye of a watch that ends; it is over before the shorter patience matters.
        if (++watch.Bookmarks == 2)
        {
            TimeSpan patience = (_options.BookmarkInterval * 3) + (Grace / 2);
            if (patience < watch.Silence.Limit)
            {
                watch.Silence.Limit = patience;
            }

            Publish(status => status with { Bookmarks = true });
        }
    }

    /// <summary>Reads a streamed list up to its end mark; the stream stays open for the watch.</summary>
    private async Task<Outcome> StreamListAsync(CancellationToken stop)
    {
        TimeSpan timeout = DrawTimeout();
        string wanted = _listNewest || _revision.IsNone ? "" : _revision.ToString();
        using var deadline = new CancellationTokenSource(_options.ListTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stop);
        OpenWatch? watch = null;
        bool whole = false;
        bool handedOn = false;
        BeginReplace();
        try
        {
            KubeStream stream = await OpenAsync(_requests.WatchList(wanted, timeout), either.Token);
            watch = new OpenWatch(stream, _options.ListStallTimeout, _options.MaxObjectBytes, _time, stop);
            await using CancellationTokenRegistration cut = deadline.Token.Register(static guard => ((SilenceGuard)guard!).Cut(), watch.Silence);
            var held = new HeldChanges(MaxHeldBytes);
            Revision? end;
            while ((end = TakeInitial(watch, held)) is null)
            {
                if (await watch.FillAsync() == 0)
                {
                    return new Outcome(Attempt.WatchList, watch.EndsInMiddle() ? Ending.Broken : Ending.Closed, new KubeError(
                        KubeErrorKind.Protocol, "The server ended a streamed list before its end mark. Listing in pages."));
                }
            }

            if (!_listNewest && end.Value.IsBefore(_revision))
            {
                return new Outcome(Attempt.WatchList, Ending.WentBack, WentBack(end.Value));
            }

            whole = true;
            Delivered(end.Value, held);
            watch.Silence.Limit = timeout + Grace;
            Opened();
            handedOn = true;
            return new Outcome(Attempt.WatchList, Ending.Listed) { Begun = watch };
        }
        catch (Exception e) when (IsOfServer(e, stop))
        {
            KubeError error = ErrorOf(e);
            Ending ending = e is FrameException frame ? frame.Ending
                : watch is { Silence.IsSilent: true } ? Ending.Silent
                : watch is not null && e is not KubeException and not FormatException ? Ending.Broken
                : WatchRecovery.EndingOf(error);
            return new Outcome(Attempt.WatchList, ending, error);
        }
        finally
        {
            if (!whole)
            {
                _sink.AbortReplace();
            }

            if (!handedOn)
            {
                await DropAsync(watch);
            }
        }
    }

    /// <summary>Takes what has arrived; gives the list's revision when its end mark is among it.</summary>
    private Revision? TakeInitial(OpenWatch watch, HeldChanges held)
    {
        while (watch.TryRead(out WatchFrame frame))
        {
            Revision? end = null;
            switch (frame.Type)
            {
                case FrameType.Error:
                    KubeError error = _client.WatchErrorOf(frame.Object);
                    throw new FrameException(WatchRecovery.EndingOf(error), error);
                case FrameType.Bookmark:
                    Revision revision = EventMetadata.Read(frame.Object, wantsMark: true, out bool ends);
                    end = ends ? revision : null;
                    break;
                case FrameType.Added when held.IsEmpty:
                    _sink.Replace(frame.Object);
                    break;
                default:
                    // The first change that is no addition ends the ordered part: from here on everything keeps its order.
                    held.Add(ChangeOf(frame.Type), frame.Object);
                    break;
            }

            watch.Used(frame.Length);
            if (end is not null)
            {
                return end;
            }
        }

        return null;
    }

    /// <summary>The server's newest revision; null when it does not tell and will not.</summary>
    /// <remarks>
    /// A restored server accepts a watch from a revision that it has not reached and says nothing until it does, so after a broken
    /// connection it has to be asked first. While it cannot be asked, the watch must not begin either.
    /// </remarks>
    /// <exception cref="KubeException">It cannot be asked now.</exception>
    private async Task<Revision?> AskRevisionAsync(CancellationToken stop)
    {
        try
        {
            using KubeResponse response = await _client.SendAsync(_requests.NewestRevision(), stop);
            var page = new ListPageReader(_options.MaxObjectBytes, static _ => { });
            _ = page.Read(response.Body.Span);
            return Revision.Parse(page.ResourceVersion);
        }
        catch (KubeException e) when (!e.Error.IsTransient && e.Kind is not (KubeErrorKind.Tls or KubeErrorKind.Unauthorized))
        {
            return null;   // not allowed to list, or no such kind: the watch will say it better
        }
    }

    private void Opened()
    {
        Heard();
        RememberFailures();
        Publish(status => status with
        {
            Phase = ReflectorPhase.Watching,
            Watches = status.Watches + 1,
            Bookmarks = false,
            Error = null,
            FailingSince = null,
            Failures = 0,
            FailuresAlike = 0,
            Vanished = false,
        });
    }

    private static ValueTask DropAsync(OpenWatch? watch) => watch?.DisposeAsync() ?? ValueTask.CompletedTask;

    private TimeSpan DrawTimeout() => _options.MinWatchTimeout + (_options.MinWatchTimeout * _options.Random());

    private static WatchChange ChangeOf(FrameType type) => type switch
    {
        FrameType.Added => WatchChange.Added,
        FrameType.Modified => WatchChange.Modified,
        _ => WatchChange.Deleted,
    };

    /// <summary>An ERROR event, or an event that cannot be where it is.</summary>
    private sealed class FrameException(Ending ending, KubeError error) : IOException(error.Message, new KubeException(error))
    {
        public Ending Ending => ending;
    }

    /// <summary>Changes that came before a streamed list was whole, in order.</summary>
    private sealed class HeldChanges(int maxBytes)
    {
        public static readonly HeldChanges None = new(0);

        private readonly List<(WatchChange Change, byte[] Item)> _changes = [];
        private long _bytes;

        public bool IsEmpty => _changes.Count == 0;

        public void Add(WatchChange change, ReadOnlySpan<byte> item)
        {
            _bytes += item.Length;
            if (_bytes > maxBytes)
            {
                throw new IOException("Too much changed while a streamed list was read.");
            }

            _changes.Add((change, item.ToArray()));
        }

        public void Deliver(IReflectorSink sink)
        {
            foreach ((WatchChange change, byte[] item) in _changes)
            {
                sink.Apply(change, item);
            }
        }
    }
}
