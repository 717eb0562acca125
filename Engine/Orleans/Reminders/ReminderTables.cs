using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Orleans.Runtime;

namespace MultiCluster.Engine.Actors;

/// <summary>A registered reminder. Times are UTC.</summary>
internal sealed record ReminderEntry(GrainId Grain, string Name, DateTime StartAt, TimeSpan Period);

/// <summary>Where reminders are kept. Thread-safe.</summary>
internal interface IReminderTable
{
    Task<IReadOnlyCollection<ReminderEntry>> ReadAllAsync();

    Task UpsertAsync(ReminderEntry entry);

    Task RemoveAsync(GrainId grain, string name);
}

/// <inheritdoc/>
internal sealed class MemoryReminderTable : IReminderTable
{
    private readonly ConcurrentDictionary<(GrainId, string), ReminderEntry> _entries = new();

    public Task<IReadOnlyCollection<ReminderEntry>> ReadAllAsync() => Task.FromResult<IReadOnlyCollection<ReminderEntry>>(_entries.Values.ToArray());

    public Task UpsertAsync(ReminderEntry entry)
    {
        _entries[(entry.Grain, entry.Name)] = entry;
        return Task.CompletedTask;
    }

    public Task RemoveAsync(GrainId grain, string name)
    {
        _entries.TryRemove((grain, name), out _);
        return Task.CompletedTask;
    }
}

/// <summary>Keeps each reminder as one JSON file: <c>reminders/TYPE/KEY.NAME.json</c>.</summary>
/// <remarks>A file that cannot be read is reported at the start, does not tick, and is never overwritten.</remarks>
internal sealed partial class FileReminderTable(DurableDirectory directory, ILogger<FileReminderTable> logger) : IReminderTable
{
    private readonly Lock _gate = new();
    private readonly string _folder = Path.Combine(directory.Root, "reminders");

    public Task<IReadOnlyCollection<ReminderEntry>> ReadAllAsync() => Task.Run<IReadOnlyCollection<ReminderEntry>>(() =>
    {
        List<ReminderEntry> all = [];
        if (Directory.Exists(_folder))
        {
            foreach (string path in Directory.EnumerateFiles(_folder, "*.json", SearchOption.AllDirectories))
            {
                try
                {
                    all.Add(Read(path)!);
                }
                catch (ReminderException e)
                {
                    LogUnreadable(logger, e, path);
                }
            }
        }

        return all;
    });

    public Task UpsertAsync(ReminderEntry entry) => Task.Run(() =>
    {
        string path = PathOf(entry.Grain, entry.Name);
        lock (_gate)
        {
            _ = Read(path);   // refuses to overwrite what it cannot read
            directory.Write(path, JsonSerializer.SerializeToUtf8Bytes(entry, StateJson.Options));
        }
    });

    public Task RemoveAsync(GrainId grain, string name) => Task.Run(() =>
    {
        lock (_gate) { DurableDirectory.Delete(PathOf(grain, name)); }
    });

    private static ReminderEntry? Read(string path)
    {
        if (DurableDirectory.TryRead(path) is not { } json)
        {
            return null;
        }

        try
        {
            ReminderEntry? entry = JsonSerializer.Deserialize<ReminderEntry>(json, StateJson.Options);
            return entry is { Grain.IsDefault: false, Name.Length: > 0 } && entry.Period > TimeSpan.Zero ? entry : throw new JsonException("Members are missing.");
        }
        catch (JsonException e)
        {
            throw new ReminderException($"Reminder file {path} is damaged and was left as it is. Restore it from a backup, or delete it: its grain registers it anew.", e);
        }
    }

    private string PathOf(GrainId grain, string name) => Path.Combine(
        _folder, DurableDirectory.NameFor(grain.Type.ToString()), $"{DurableDirectory.NameFor(grain.Key.ToString())}.{DurableDirectory.NameFor(name)}.json");

    [LoggerMessage(7010, LogLevel.Error, "Reminder file {Path} cannot be read; this reminder does not tick.", EventName = "ReminderUnreadable")]
    private static partial void LogUnreadable(ILogger logger, Exception exception, string path);
}
