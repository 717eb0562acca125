using System.Collections.Concurrent;
using System.Text.Json;
using MultiCluster.Silo.Storage;
using Orleans;
using Orleans.Runtime;
using Orleans.Storage;

namespace MultiCluster.Engine.Actors;

/// <summary>Keeps states as JSON in memory, so that what is not written is lost and what cannot be written fails here as well.</summary>
internal sealed class MemoryGrainStorage : IGrainStorage
{
    private readonly ConcurrentDictionary<(GrainId, string), (string Etag, byte[] Json)> _records = new();

    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        bool exists = _records.TryGetValue((grainId, stateName), out (string Etag, byte[] Json) record);
        grainState.State = exists ? JsonSerializer.Deserialize<T>(record.Json, StateJson.Options) : EmptyState.Of<T>();
        grainState.ETag = record.Etag;
        grainState.RecordExists = exists;
        return Task.CompletedTask;
    }

    public Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        var record = (Etag: Guid.NewGuid().ToString("N"), JsonSerializer.SerializeToUtf8Bytes(grainState.State, StateJson.Options));
        bool written = _records.TryGetValue((grainId, stateName), out (string Etag, byte[] Json) present)
            ? present.Etag == grainState.ETag && _records.TryUpdate((grainId, stateName), record, present)
            : grainState.ETag is null && _records.TryAdd((grainId, stateName), record);
        if (!written)
        {
            throw Inconsistent(stateName, grainId, grainState);
        }

        grainState.ETag = record.Etag;
        grainState.RecordExists = true;
        return Task.CompletedTask;
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        if (_records.TryGetValue((grainId, stateName), out (string Etag, byte[] Json) present)
            && (present.Etag != grainState.ETag || !_records.TryRemove(KeyValuePair.Create((grainId, stateName), present))))
        {
            throw Inconsistent(stateName, grainId, grainState);
        }

        grainState.State = EmptyState.Of<T>();
        grainState.ETag = null;
        grainState.RecordExists = false;
        return Task.CompletedTask;
    }

    private InconsistentStateException Inconsistent<T>(string stateName, GrainId grainId, IGrainState<T> grainState) => new(
        $"State \"{stateName}\" of grain {grainId} was changed by somebody else.",
        _records.TryGetValue((grainId, stateName), out (string Etag, byte[] Json) stored) ? stored.Etag : null,
        grainState.ETag);
}
