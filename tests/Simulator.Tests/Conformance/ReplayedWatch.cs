using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Tests.Conformance;

/// <summary>An open watch whose events are collected in the background.</summary>
internal sealed class ReplayedWatch : IAsyncDisposable
{
    private readonly List<JsonNode> _events = [];
    private readonly SemaphoreSlim _came = new(0);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _reading;

    public ReplayedWatch(HttpResponseMessage response)
    {
        Response = response;
        _reading = ReadAsync();
    }

    public HttpResponseMessage Response { get; }

    public bool Ended => _reading.IsCompleted;

    public IReadOnlyList<JsonNode> Events
    {
        get
        {
            lock (_events)
            {
                return [.. _events];
            }
        }
    }

    /// <summary>Waits until so many events came, or the deadline; the caller compares what there is.</summary>
    public async Task WaitForAsync(int count, TimeSpan deadline)
    {
        while (Events.Count < count && !Ended)
        {
            if (!await _came.WaitAsync(deadline))
            {
                return;
            }
        }
    }

    public Task WaitForEndAsync(TimeSpan patience) => Task.WhenAny(_reading, Task.Delay(patience, TimeProvider.System));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _reading;
        Response.Dispose();
        _stop.Dispose();
        _came.Dispose();
    }

    private async Task ReadAsync()
    {
        try
        {
            using var reader = new StreamReader(await Response.Content.ReadAsStreamAsync(_stop.Token));
            while (await reader.ReadLineAsync(_stop.Token) is { } line)
            {
                lock (_events)
                {
                    _events.Add(JsonNode.Parse(line)!);
                }

                _came.Release();
            }
        }
        catch (Exception end) when (end is OperationCanceledException or IOException or HttpRequestException)
        {
            // Hung up by us, or broken by the server: the comparison says which was expected.
        }
    }
}
