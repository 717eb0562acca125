using MultiCluster.Kubernetes.Errors;
using MultiCluster.Kubernetes.Transport;

namespace MultiCluster.Kubernetes.Watching;

/// <content>Lists, in pages or in one piece.</content>
public sealed partial class Reflector
{
    // A list is read in pieces of this size at least; TLS and HTTP/2 give 16 KiB at a time at most.
    private const int ListReadBytes = 64 * 1024;

    private readonly ItemHandler _takeItem;
    private Revision _revision = Revision.None;
    private string _shownRevision = "";   // under _statusGate
    private bool _listNewest;
    private bool _listWhole;
    private bool _listPlain;
    private bool _wentBack;

    private async Task<Outcome> ListAsync(CancellationToken stop)
    {
        bool streamed = _options.WatchList == WatchListMode.Auto && !_listPlain && !_listWhole && !_client.Features.WatchListRefused;
        if (_options.ListGates.Count > 0)
        {
            Publish(status => status with { Phase = ReflectorPhase.Queued });
        }

        var entered = new Stack<IDisposable>(_options.ListGates.Count);
        try
        {
            foreach (IListGate gate in _options.ListGates)
            {
                entered.Push(await gate.EnterAsync(stop));
            }

            Publish(status => status with { Phase = ReflectorPhase.Listing, Bookmarks = false });
            return streamed ? await StreamListAsync(stop) : await PlainListAsync(stop);
        }
        finally
        {
            while (entered.TryPop(out IDisposable? place))
            {
                place.Dispose();
            }
        }
    }

    private async Task<Outcome> PlainListAsync(CancellationToken stop)
    {
        string wanted = _listNewest ? "" : _revision.IsNone ? "0" : _revision.ToString();
        // With a revision the server's cache answers, and it does so in one piece only.
        bool paged = !_listWhole && wanted is "" or "0";
        using var deadline = new CancellationTokenSource(_options.ListTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stop);
        Revision found = Revision.None;
        string token = "";
        bool whole = false;
        BeginReplace();
        try
        {
            do
            {
                ListPageReader page = await ReadPageAsync(_requests.List(wanted, paged, token), either.Token);
                if (found.IsNone)
                {
                    found = Revision.Parse(page.ResourceVersion);
                    if (found.IsNone)
                    {
                        return new Outcome(Attempt.List, Ending.Protocol, new KubeError(
                            KubeErrorKind.Protocol, "The server sent a list without a resourceVersion. What was there is kept."));
                    }

                    if (!_listNewest && found.IsBefore(_revision))
                    {
                        return new Outcome(Attempt.List, Ending.WentBack, WentBack(found));
                    }
                }

                if (page.Continue.Length > 0 && page.Continue == token)
                {
                    return new Outcome(Attempt.List, Ending.Protocol, new KubeError(
                        KubeErrorKind.Protocol, "The server sent the same page twice. What was there is kept."));
                }

                token = page.Continue;
            }
            while (token.Length > 0);

            whole = true;
        }
        catch (Exception e) when (IsOfServer(e, stop))
        {
            KubeError error = ErrorOf(e);
            Ending ending = WatchRecovery.EndingOf(error);
            return new Outcome(Attempt.List, ending == Ending.Expired && token.Length > 0 ? Ending.PageExpired : ending, error);
        }
        finally
        {
            if (!whole)
            {
                _sink.AbortReplace();
            }
        }

        Delivered(found, HeldChanges.None);
        return new Outcome(Attempt.List, Ending.Listed);
    }

    private async Task<ListPageReader> ReadPageAsync(KubeRequest request, CancellationToken cancellationToken)
    {
        await using KubeStream stream = await OpenAsync(request, cancellationToken);
        using var buffer = new ReceiveBuffer(ListReadBytes);
        using var silence = new SilenceGuard(_options.ListStallTimeout, _time, cancellationToken);
        var page = new ListPageReader(_options.MaxObjectBytes, _takeItem);
        while (true)
        {
            int count = await stream.Body.ReadAsync(buffer.Free(), silence.Token);
            if (count == 0)
            {
                page.Finish();
                return page;
            }

            silence.Heard();
            buffer.Commit(count);
            buffer.Consume(page.Read(buffer.Unread));
        }
    }

    private void TakeItem(ReadOnlySpan<byte> item) => _sink.Replace(item);

    private void BeginReplace()
    {
        if (_wentBack)
        {
            _sink.BeginReplaceAfterRestore();
        }
        else
        {
            _sink.BeginReplace();
        }
    }

    private void Delivered(Revision revision, HeldChanges held)
    {
        _wentBack = false;
        if (held.IsEmpty)
        {
            _sink.EndReplace(revision.ToString());
        }
        else
        {
            // Without what overtook its end the list is not yet the state at its revision.
            _sink.EndReplace("");
            held.Deliver(_sink);
            _sink.Bookmark(revision.ToString());
        }

        SetRevision(revision);
        Heard();
        Publish(status => status with { Synced = true, Lists = status.Lists + 1 });
        LogListed(_logger, _cluster, _resource.GroupResource, revision.ToString());
    }

    private void SetRevision(Revision revision)
    {
        _revision = revision;
        string shown = revision.ToString();
        lock (_statusGate)
        {
            _shownRevision = shown;
        }
    }

    private KubeError WentBack(Revision found) => new(
        KubeErrorKind.Protocol, $"The server is at revision {found} after it was at {_revision}: it was restored from a backup. Listing everything again.");

    /// <summary>Whether an exception speaks of the server or of what it sent, and not of us.</summary>
    private static bool IsOfServer(Exception e, CancellationToken stop) =>
        !stop.IsCancellationRequested
        && e is KubeException or IOException or HttpRequestException or OperationCanceledException or FormatException or InvalidDataException;

    private KubeError ErrorOf(Exception e) => e is FormatException
        ? new KubeError(KubeErrorKind.Protocol, $"The server sent an object that cannot be used: {ErrorClassifier.Redact(e.Message)}")
        : ErrorClassifier.FromException(e, _client.Connection.Server);
}
