using System.Collections.Concurrent;
using Microsoft.AspNetCore.Http;
using MultiCluster.Kubernetes.Discovery;
using MultiCluster.Kubernetes.Tests.Support;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;
using MultiCluster.TestSupport;

namespace MultiCluster.Kubernetes.Tests.Watching;

/// <summary>A reflector of pods against a server whose answers the test queues; a request without a queued answer hangs.</summary>
internal sealed class ReflectorHarness : IAsyncDisposable
{
    public static readonly ResourceType Pods = new("", "v1", "pods", "Pod", true) { Verbs = ["list", "watch"] };

    private readonly BlockingCollection<Func<HttpContext, Task>> _answers = [];
    private readonly ConcurrentQueue<ReflectorStatus> _statuses = new();
    private readonly ConcurrentQueue<ReflectorStatus> _allStatuses = new();
    private readonly SemaphoreSlim _changed = new(0);
    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;

    private ReflectorHarness() { }

    public ManualTimeProvider Time { get; } = new();

    public RecordingSink Sink { get; } = new();

    public ScriptedApi Api { get; private set; } = null!;

    public KubeClient Client { get; private set; } = null!;

    public Reflector Reflector { get; private set; } = null!;

    /// <summary>Every status that was published so far.</summary>
    public IEnumerable<ReflectorStatus> Statuses => _allStatuses;

    /// <summary>Requests so far, as short words: the parameters that matter.</summary>
    public IEnumerable<string> Calls => Api.Calls.Select(Short);

    public static async Task<ReflectorHarness> StartAsync(Func<ReflectorOptions, ReflectorOptions>? change = null, params Func<HttpContext, Task>[] answers)
    {
        var harness = new ReflectorHarness();
        foreach (Func<HttpContext, Task> answer in answers)
        {
            harness._answers.Add(answer);
        }

        harness.Api = await ScriptedApi.StartAsync(harness.AnswerAsync);
        harness.Client = new KubeClient(harness.Api.Connection, null, harness.Time);
        var options = new ReflectorOptions { WatchList = WatchListMode.Never, Random = () => 0 };
        harness.Reflector = new Reflector("test", harness.Client, Pods, harness.Sink, change?.Invoke(options) ?? options);
        harness.Reflector.StatusChanged += status =>
        {
            harness._statuses.Enqueue(status);
            harness._allStatuses.Enqueue(status);
            _ = harness._changed.Release();
        };
        harness._running = harness.Reflector.RunAsync(harness._stop.Token);
        return harness;
    }

    public void Answer(Func<HttpContext, Task> answer) => _answers.Add(answer);

    /// <summary>The next status that fits.</summary>
    public async Task<ReflectorStatus> StatusAsync(Func<ReflectorStatus, bool> wanted)
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(60), TimeProvider.System);
        while (true)
        {
            await _changed.WaitAsync(soon.Token);
            if (_statuses.TryDequeue(out ReflectorStatus? status) && wanted(status))
            {
                return status;
            }
        }
    }

    /// <summary>Waits until the reflector waits after a failure, then lets that time pass.</summary>
    public async Task<ReflectorStatus> SitOutBackoffAsync(TimeSpan wait)
    {
        ReflectorStatus status = await StatusAsync(s => s.Phase == ReflectorPhase.BackingOff);
        Time.Advance(wait);
        return status;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(TimeSpan.FromSeconds(60));
        await Client.DisposeAsync();
        await Api.DisposeAsync();
        _stop.Dispose();
        _changed.Dispose();
        _answers.Dispose();
    }

    private async Task AnswerAsync(HttpContext context, ScriptedApi api)
    {
        if (_answers.TryTake(out Func<HttpContext, Task>? answer))
        {
            await answer(context);
            return;
        }

        await context.Response.Body.FlushAsync();
        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, CancellationTokenSource.CreateLinkedTokenSource(api.Stopping, context.RequestAborted).Token);
    }

    private static string Short(string call)
    {
        string query = call[(call.IndexOf('?', StringComparison.Ordinal) + 1)..];
        Dictionary<string, string> parameters = query.Split('&').Select(p => p.Split('=', 2)).ToDictionary(p => p[0], p => p.Length > 1 ? p[1] : "");
        string verb = parameters.ContainsKey("sendInitialEvents") ? "stream" : parameters.ContainsKey("watch") ? "watch" : "list";
        IEnumerable<string> rest = parameters.Where(p => p.Key is "resourceVersion" or "limit" or "continue").Select(p => $"{(p.Key == "resourceVersion" ? "rv" : p.Key)}={p.Value}");
        return string.Join(' ', rest.Prepend(verb));
    }
}

/// <summary>Answers of an API server.</summary>
internal static class Answers
{
    public static string Pod(string name, long version) => $$"""{"kind":"Pod","apiVersion":"v1","metadata":{"name":"{{name}}","resourceVersion":"{{version}}"} }""";

    public static string Event(string type, string name, long version) => $$"""{"type":"{{type}}","object":{{Pod(name, version)}}}""" + "\n";

    public static string Bookmark(long version, bool ends = false) =>
        $$$"""{"type":"BOOKMARK","object":{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"{{{version}}}"{{{(ends ? ""","annotations":{"k8s.io/initial-events-end":"true"}""" : "")}}} } } }""" + "\n";

    public static string Error(int code, string reason) =>
        $$"""{"type":"ERROR","object":{{ScriptedAnswers.Status(code, reason, "went wrong")}}}""" + "\n";

    public static string ListBody(long version, string token, params string[] names) =>
        $$$"""{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"{{{version}}}","continue":"{{{token}}}"},"items":[{{{string.Join(',', names.Select(n => Pod(n, version)))}}}]}""" + "\n";

    public static Func<HttpContext, Task> List(long version, params string[] names) => context => context.JsonAsync(ListBody(version, "", names));

    public static Func<HttpContext, Task> Page(long version, string token, params string[] names) => context => context.JsonAsync(ListBody(version, token, names));

    public static Func<HttpContext, Task> Fails(int code, string reason, string extra = "") => context => context.JsonAsync(ScriptedAnswers.Status(code, reason, reason, extra), code);

    /// <summary>A watch that sends these pieces and ends cleanly.</summary>
    public static Func<HttpContext, Task> Watch(params string[] pieces) => async context =>
    {
        foreach (string piece in pieces)
        {
            await context.SendAsync(piece);
        }
    };

    /// <summary>A stream that sends these pieces and stays open.</summary>
    public static Func<HttpContext, Task> Open(params string[] pieces) => async context =>
    {
        await context.Response.Body.FlushAsync();
        foreach (string piece in pieces)
        {
            await context.SendAsync(piece);
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
    };

    /// <summary>A stream that sends these pieces and breaks when it is told to: a reset overtakes what was sent but not yet read.</summary>
    public static Func<HttpContext, Task> Break(Task when, params string[] pieces) => async context =>
    {
        await Watch(pieces)(context);
        await when.WaitAsync(context.RequestAborted);
        context.Abort();
    };
}
