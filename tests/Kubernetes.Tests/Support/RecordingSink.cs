using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Kubernetes.Tests.Support;

/// <summary>Writes down what a reflector delivers.</summary>
public sealed class RecordingSink : IReflectorSink
{
    private readonly Channel<string> _heard = Channel.CreateUnbounded<string>();

    public Func<string, bool> Refuses { get; set; } = _ => false;

    public void BeginReplace() => Note("begin");

    public void Replace(ReadOnlySpan<byte> item) => Note($"item {NameOf(item)}");

    public void EndReplace(string resourceVersion) => Note($"end {resourceVersion}");

    public void AbortReplace() => Note("abort");

    public void Apply(WatchChange change, ReadOnlySpan<byte> item) => Note($"{change} {NameOf(item)}");

    public void Bookmark(string resourceVersion) => Note($"bookmark {resourceVersion}");

    public async Task<string> NextAsync()
    {
        using var soon = new CancellationTokenSource(TimeSpan.FromSeconds(60), TimeProvider.System);
        return await _heard.Reader.ReadAsync(soon.Token);
    }

    public async Task<string[]> NextAsync(int count)
    {
        var heard = new string[count];
        for (int i = 0; i < count; i++)
        {
            heard[i] = await NextAsync();
        }

        return heard;
    }

    private void Note(string what) => _ = _heard.Writer.TryWrite(what);

    private string NameOf(ReadOnlySpan<byte> item)
    {
        using var document = JsonDocument.Parse(item.ToArray());
        string name = document.RootElement.GetProperty("metadata").GetProperty("name").GetString()!;
        return Refuses(name) ? throw new FormatException($"{name} is refused.") : name;
    }
}
