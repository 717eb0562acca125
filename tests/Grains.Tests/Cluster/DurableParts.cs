using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.DataProtection;
using Orleans.Runtime;
using Orleans.Storage;

namespace MultiCluster.Grains.Tests.Cluster;

/// <summary>What outlives a host: stored states, as JSON, and keys.</summary>
internal sealed class DurableParts : IGrainStorage
{
    private readonly ConcurrentDictionary<string, (string Json, string Tag)> _records = new(StringComparer.Ordinal);
    private int _tags;

    public IDataProtectionProvider Keys { get; init; } = new EphemeralDataProtectionProvider();

    /// <summary>Fails the writes whose state name is this; null for none.</summary>
    public string? FailWritesOf { get; set; }

    /// <summary>Fails the writes whose state name is this, though they are stored: as a database that ends in the middle; null for none.</summary>
    public string? LoseAnswersOf { get; set; }

    /// <summary>Every write waits for this.</summary>
    public Task Writable { get; set; } = Task.CompletedTask;

    /// <summary>Called before a state of this name is written; it waits for what comes back.</summary>
    public Func<string, Task> Writing { get; set; } = static _ => Task.CompletedTask;

    /// <summary>All that is stored, for searches of what must not be there.</summary>
    public IEnumerable<string> Records => _records.Values.Select(record => record.Json);

    public Task ReadStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        bool found = _records.TryGetValue(Key(stateName, grainId), out (string Json, string Tag) record);
        grainState.State = found ? JsonSerializer.Deserialize<T>(record.Json)! : Activator.CreateInstance<T>();
        grainState.ETag = found ? record.Tag : null;
        grainState.RecordExists = found;
        return Task.CompletedTask;
    }

    public async Task WriteStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        if (FailWritesOf == stateName)
        {
            throw new IOException("The disk is full.");
        }

        await Writable;
        await Writing(stateName);
        if (_records.TryGetValue(Key(stateName, grainId), out (string Json, string Tag) stored) && stored.Tag != grainState.ETag)
        {
            throw new InconsistentStateException("Another has written.", stored.Tag, grainState.ETag);
        }

        string tag = Interlocked.Increment(ref _tags).ToString();
        _records[Key(stateName, grainId)] = (JsonSerializer.Serialize(grainState.State), tag);
        if (LoseAnswersOf == stateName)
        {
            throw new IOException("The connection ended.");
        }

        grainState.ETag = tag;
        grainState.RecordExists = true;
    }

    public Task ClearStateAsync<T>(string stateName, GrainId grainId, IGrainState<T> grainState)
    {
        _records.TryRemove(Key(stateName, grainId), out _);
        grainState.State = Activator.CreateInstance<T>();
        grainState.ETag = null;
        grainState.RecordExists = false;
        return Task.CompletedTask;
    }

    /// <summary>Forgets one record, as a crash before its write would have.</summary>
    public bool Lose(string stateName, string grainKey)
        => _records.Keys.Where(key => key.StartsWith(stateName + "|", StringComparison.Ordinal) && key.EndsWith("/" + grainKey, StringComparison.Ordinal))
            .ToList().All(key => _records.TryRemove(key, out _));

    private static string Key(string stateName, GrainId grainId) => $"{stateName}|{grainId}";
}
