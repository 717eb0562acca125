using System.Text.Json;
using Orleans;
using Orleans.Runtime;
using Orleans.Storage;

namespace MultiCluster.Silo.Storage;

/// <summary>Keeps each state as one JSON file: <c>state/STORAGE/TYPE/KEY.NAME.json</c>.</summary>
/// <remarks>
/// Thread-safe. A file that cannot be read is reported with its path and never overwritten: only a person can know whether
/// the state may be lost.
/// </remarks>
internal sealed class FileGrainStorage(DurableDirectory directory, string storageName) : IGrainStorage
{
    private readonly Lock[] _gates = Enumerable.Range(0, 64).Select(static _ => new Lock()).ToArray();
    private readonly string _folder = Path.Combine(directory.Root, "state", DurableDirectory.NameFor(storageName));

    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) =>
        ReadStateAsync(stateName, grainId, grainState, CancellationToken.None);

    public async Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState, CancellationToken cancellationToken)
    {
        string path = PathOf(stateName, grainId);
        Record<T>? record = await Task.Run(() => Read<Record<T>>(path, grainId, stateName), cancellationToken);
        grainState.State = record is null ? NewState<T>() : record.State;
        grainState.ETag = record?.Etag;
        grainState.RecordExists = record is not null;
    }

    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) =>
        WriteStateAsync(stateName, grainId, grainState, CancellationToken.None);

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState, CancellationToken cancellationToken)
    {
        // Serialised within the turn: the state belongs to it, the bytes do not.
        var record = new Record<T> { Grain = grainId, Name = stateName, Etag = Guid.NewGuid().ToString("N"), State = grainState.State };
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(record, StateJson.Options);
        string path = PathOf(stateName, grainId);
        string? expected = grainState.ETag;
        await Task.Run(
            () =>
            {
                lock (GateOf(path))
                {
                    ThrowIfChanged(path, grainId, stateName, expected);
                    directory.Write(path, json);
                }
            },
            cancellationToken);
        grainState.ETag = record.Etag;
        grainState.RecordExists = true;
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState) =>
        ClearStateAsync(stateName, grainId, grainState, CancellationToken.None);

    public async Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState, CancellationToken cancellationToken)
    {
        string path = PathOf(stateName, grainId);
        string? expected = grainState.ETag;
        await Task.Run(
            () =>
            {
                lock (GateOf(path))
                {
                    if (File.Exists(path))
                    {
                        ThrowIfChanged(path, grainId, stateName, expected);
                        DurableDirectory.Delete(path);
                    }
                }
            },
            cancellationToken);
        grainState.State = NewState<T>();
        grainState.ETag = null;
        grainState.RecordExists = false;
    }

    private static T NewState<T>() => Activator.CreateInstance<T>();

    private static void ThrowIfChanged(string path, GrainId grainId, string stateName, string? expected)
    {
        string? stored = Read<Header>(path, grainId, stateName)?.Etag;
        if (stored != expected)
        {
            throw new InconsistentStateException($"State \"{stateName}\" of grain {grainId} was changed by somebody else.", stored, expected);
        }
    }

    private static T? Read<T>(string path, GrainId grainId, string stateName) where T : Header
    {
        if (DurableDirectory.TryRead(path) is not { } json)
        {
            return null;
        }

        string fault;
        try
        {
            T? record = JsonSerializer.Deserialize<T>(json, StateJson.Options);
            if (record is { Etag.Length: > 0 } && record.Grain == grainId && record.Name == stateName)
            {
                return record;
            }

            fault = record is null || record.Grain.IsDefault ? "it holds no state"
                : $"it holds state \"{record.Name}\" of grain {record.Grain}";
        }
        catch (JsonException e)
        {
            throw Unreadable(path, grainId, stateName, "it is damaged or was written for another version", e);
        }

        throw Unreadable(path, grainId, stateName, fault, null);
    }

    private static InvalidDataException Unreadable(string path, GrainId grainId, string stateName, string fault, Exception? cause) => new(
        $"State file {path} (state \"{stateName}\" of grain {grainId}) cannot be used: {fault}. It was left as it is. "
        + "Restore it from a backup, or move it away to let the grain start without this state.", cause);

    private string PathOf(string stateName, GrainId grainId) => Path.Combine(
        _folder,
        DurableDirectory.NameFor(grainId.Type.ToString() ?? ""),
        $"{DurableDirectory.NameFor(grainId.Key.ToString() ?? "")}.{DurableDirectory.NameFor(stateName)}.json");

    private Lock GateOf(string path) => _gates[(uint)string.GetHashCode(path, StringComparison.Ordinal) % _gates.Length];

    private class Header
    {
        public GrainId Grain { get; init; }

        public string Name { get; init; } = "";

        public string Etag { get; init; } = "";
    }

    private sealed class Record<T> : Header
    {
        public T? State { get; init; }
    }
}
