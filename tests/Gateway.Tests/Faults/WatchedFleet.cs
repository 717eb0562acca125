using System.Text.Json;
using MultiCluster.Gateway.Tests.EndToEnd;

namespace MultiCluster.Gateway.Tests.Faults;

/// <summary>Follows one kind over the fleet with a watch, and keeps what a reader that believes it would hold.</summary>
internal sealed class WatchedFleet : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly SortedDictionary<string, string> _held = new(StringComparer.Ordinal);
    private readonly List<string> _log = [];
    private readonly Lock _gate = new();
    private readonly Task _run;
    private readonly TaskCompletionSource _synced = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private WatchedFleet(HttpClient http, string kind) => _run = FollowAsync(http, kind);

    /// <summary>Opens the watch and waits until the present state is complete.</summary>
    public static async Task<WatchedFleet> StartAsync(HttpClient http, string kind)
    {
        var watch = new WatchedFleet(http, kind);
        await (await Task.WhenAny(watch._synced.Task, watch._run)).WaitAsync(ServiceUnderTest.Patience);
        return watch;
    }

    /// <summary>Every event so far, as <c>deleted eu-1/default/web-0</c>.</summary>
    public string[] Events
    {
        get
        {
            lock (_gate)
            {
                return [.. _log];
            }
        }
    }

    private string[] Held
    {
        get
        {
            lock (_gate)
            {
                return [.. _held.Select(pair => $"{pair.Key}@{pair.Value}").Order(StringComparer.Ordinal)];
            }
        }
    }

    /// <summary>Waits until what the reader holds is what a list answers.</summary>
    public async Task UntilTrueAsync(ServiceUnderTest service, string kind)
    {
        string[] listed = [];
        try
        {
            await service.UntilAsync(
                $"/v1/resources/{kind}?limit=10000",
                page =>
                {
                    Assert.False(_run.IsCompleted, "The watch has ended.");
                    listed = [.. page.GetProperty("items").EnumerateArray().Select(item => $"{KeyOf(item)}@{VersionOf(item)}").Order(StringComparer.Ordinal)];
                    return Held.SequenceEqual(listed);
                });
        }
        catch (Xunit.Sdk.XunitException e)
        {
            throw new InvalidOperationException(
                $"Only watched: {string.Join(", ", Held.Except(listed))}\nOnly listed: {string.Join(", ", listed.Except(Held))}\n{e.Message}", e);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _run.WaitAsync(ServiceUnderTest.Patience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task FollowAsync(HttpClient http, string kind)
    {
        using HttpResponseMessage answer = await http.GetAsync($"/v1/resources/{kind}?watch=true", HttpCompletionOption.ResponseHeadersRead, _stop.Token);
        answer.EnsureSuccessStatusCode();
        using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync(_stop.Token));
        string type = "";
        string data = "";
        while (await reader.ReadLineAsync(_stop.Token) is { } line)
        {
            if (line.StartsWith("event: ", StringComparison.Ordinal))
            {
                type = line["event: ".Length..];
            }
            else if (line.StartsWith("data: ", StringComparison.Ordinal))
            {
                data += line["data: ".Length..];
            }
            else if (line.Length == 0)
            {
                Take(type, data);
                (type, data) = ("", "");
            }
        }
    }

    private void Take(string type, string data)
    {
        if (type == "synced")
        {
            _synced.TrySetResult();
        }

        if (type is not ("added" or "modified" or "deleted"))
        {
            return;
        }

        using JsonDocument item = JsonDocument.Parse(data, new JsonDocumentOptions { MaxDepth = 2048 });
        string key = KeyOf(item.RootElement);
        lock (_gate)
        {
            _log.Add($"{type} {key}");
            if (type == "deleted")
            {
                _held.Remove(key);
            }
            else
            {
                _held[key] = VersionOf(item.RootElement);
            }
        }
    }

    private static string KeyOf(JsonElement item) =>
        $"{item.GetProperty("cluster").GetString()}/{item.GetProperty("namespace").GetString()}/{item.GetProperty("name").GetString()}";

    private static string VersionOf(JsonElement item)
    {
        JsonElement metadata = item.GetProperty("object").GetProperty("metadata");
        return $"{metadata.GetProperty("uid").GetString()}:{metadata.GetProperty("resourceVersion").GetString()}";
    }
}
