using System.Text.Json;

namespace MultiCluster.Cluster.Tests;

/// <summary>Follows all pods of the fleet over server-sent events and keeps what the events add up to.</summary>
internal sealed class FleetFollower : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, string> _objects = new(StringComparer.Ordinal);
    private readonly Lock _gate = new();
    private readonly TaskCompletionSource _present = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly HttpClient _client;
    private readonly Task _following;

    private FleetFollower(HttpClient client)
    {
        _client = client;
        _client.Timeout = Timeout.InfiniteTimeSpan;
        _following = FollowAsync();
    }

    /// <summary>What is wrong with the events that came, in words; empty when nothing is.</summary>
    public List<string> Faults { get; } = [];

    public int Events { get; private set; }

    public static async Task<FleetFollower> StartAsync(FleetUnderTest fleet)
    {
        var follower = new FleetFollower(fleet.CreateClient());
        await follower._present.Task.WaitAsync(FleetUnderTest.Patience);
        return follower;
    }

    /// <summary>The resourceVersion of every pod, by cluster, namespace and name, as the events say.</summary>
    public Dictionary<string, string> Objects
    {
        get
        {
            lock (_gate)
            {
                return new(_objects, StringComparer.Ordinal);
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _following;
        _client.Dispose();
        _stop.Dispose();
    }

    private async Task FollowAsync()
    {
        try
        {
            using HttpResponseMessage answer = await _client.GetAsync("/v1/resources/pods?watch=true", HttpCompletionOption.ResponseHeadersRead, _stop.Token);
            using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(_stop.Token));
            string type = "";
            while (await reader.ReadLineAsync(_stop.Token) is { } line)
            {
                if (line.StartsWith("event: ", StringComparison.Ordinal))
                {
                    type = line["event: ".Length..];
                }
                else if (line.StartsWith("data: ", StringComparison.Ordinal))
                {
                    Take(type, JsonDocument.Parse(line["data: ".Length..]).RootElement);
                }
            }

            Fault("the stream ended");
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The test is over.
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException or KeyNotFoundException)
        {
            Fault($"the stream broke: {e.Message}");
            _present.TrySetException(e);
        }
    }

    private void Take(string type, JsonElement data)
    {
        lock (_gate)
        {
            Events++;
            switch (type)
            {
                case "added" or "modified" or "deleted":
                    string key = $"{data.GetProperty("cluster").GetString()}/{data.GetProperty("namespace").GetString()}/{data.GetProperty("name").GetString()}";
                    string version = data.GetProperty("object").GetProperty("metadata").GetProperty("resourceVersion").GetString()!;
                    if (_objects.TryGetValue(key, out string? before) && ulong.Parse(version, null) < ulong.Parse(before, null))
                    {
                        Faults.Add($"{key} went back from {before} to {version}");
                    }

                    if (type == "deleted")
                    {
                        if (!_objects.Remove(key))
                        {
                            Faults.Add($"{key} was deleted and had never been there");
                        }
                    }
                    else
                    {
                        _objects[key] = version;
                    }

                    break;
                case "synced":
                    _present.TrySetResult();
                    break;
                case "end" or "gone":
                    Faults.Add($"{type}: {data}");
                    break;
            }
        }
    }

    private void Fault(string fault)
    {
        lock (_gate)
        {
            Faults.Add(fault);
        }
    }
}
