using System.Text.Json;
using Microsoft.Extensions.Logging;
using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Silo.Storage;

/// <summary>Keeps each reminder as one JSON file: <c>reminders/TYPE/KEY.NAME.json</c>.</summary>
/// <remarks>
/// Thread-safe. One silo owns the directory and with it every grain, so that each range of grains is all of them. A file that cannot be
/// read is reported, does not tick, and is never overwritten.
/// </remarks>
internal sealed partial class FileReminderTable(DurableDirectory directory, ILogger<FileReminderTable> logger) : IReminderTable
{
    private readonly Lock _gate = new();
    private readonly string _folder = Path.Combine(directory.Root, "reminders");

    public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    public Task<ReminderTableData> ReadRows(uint begin, uint end) => Task.Run(() => new ReminderTableData(ReadFiles(_folder)));

    public Task<ReminderTableData> ReadRows(GrainId grainId) =>
        Task.Run(() => new ReminderTableData(ReadFiles(FolderOf(grainId)).Where(r => r.GrainId == grainId)));

    public Task<ReminderEntry?> ReadRow(GrainId grainId, string reminderName) => Task.Run(() => Read(PathOf(grainId, reminderName)));

    public Task<string?> UpsertRow(ReminderEntry entry) => Task.Run<string?>(() =>
    {
        string path = PathOf(entry.GrainId, entry.ReminderName);
        var record = new Record(entry.GrainId, entry.ReminderName, entry.StartAt, entry.Period, Guid.NewGuid().ToString("N"));
        lock (_gate)
        {
            _ = Read(path);   // refuses to overwrite what it cannot read
            directory.Write(path, JsonSerializer.SerializeToUtf8Bytes(record, StateJson.Options));
        }

        return record.Etag;
    });

    public Task<bool> RemoveRow(GrainId grainId, string reminderName, string eTag) => Task.Run(() =>
    {
        string path = PathOf(grainId, reminderName);
        lock (_gate)
        {
            if (Read(path) is not { } present || present.ETag != eTag)
            {
                return false;
            }

            DurableDirectory.Delete(path);
            return true;
        }
    });

    public Task TestOnlyClearTable() => throw new NotSupportedException("Reminders in files are removed one by one.");

    private List<ReminderEntry> ReadFiles(string folder)
    {
        List<ReminderEntry> all = [];
        if (Directory.Exists(folder))
        {
            foreach (string path in Directory.EnumerateFiles(folder, "*.json", SearchOption.AllDirectories))
            {
                try
                {
                    if (Read(path) is { } entry)
                    {
                        all.Add(entry);
                    }
                }
                catch (ReminderException e)
                {
                    LogUnreadable(logger, e, path);
                }
            }
        }

        return all;
    }

    private static ReminderEntry? Read(string path)
    {
        if (DurableDirectory.TryRead(path) is not { } json)
        {
            return null;
        }

        try
        {
            Record? record = JsonSerializer.Deserialize<Record>(json, StateJson.Options);
            return record is { Grain.IsDefault: false, Name.Length: > 0 } && record.Period > TimeSpan.Zero
                ? new ReminderEntry { GrainId = record.Grain, ReminderName = record.Name, StartAt = record.StartAt, Period = record.Period, ETag = record.Etag ?? "" }
                : throw new JsonException("Members are missing.");
        }
        catch (JsonException e)
        {
            throw new ReminderException(
                $"Reminder file {path} is damaged and was left as it is ({e.Message}). Restore it from a backup, or delete it: its grain registers it anew.");
        }
    }

    private string FolderOf(GrainId grain) => Path.Combine(_folder, DurableDirectory.NameFor(grain.Type.ToString() ?? ""));

    private string PathOf(GrainId grain, string name) =>
        Path.Combine(FolderOf(grain), $"{DurableDirectory.NameFor(grain.Key.ToString() ?? "")}.{DurableDirectory.NameFor(name)}.json");

    private sealed record Record(GrainId Grain, string Name, DateTime StartAt, TimeSpan Period, string? Etag);

    [LoggerMessage(6010, LogLevel.Error, "Reminder file {Path} cannot be read; this reminder does not tick.", EventName = "ReminderUnreadable")]
    private static partial void LogUnreadable(ILogger logger, Exception exception, string path);
}
