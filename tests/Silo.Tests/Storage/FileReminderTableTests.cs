using Microsoft.Extensions.Logging.Abstractions;
using MultiCluster.Silo.Storage;
using Orleans;
using Orleans.Runtime;

namespace MultiCluster.Silo.Tests.Storage;

public sealed class FileReminderTableTests : IDisposable
{
    private static readonly DateTime Start = new(2026, 1, 1, 0, 0, 0, DateTimeKind.Utc);
    private static readonly GrainId Good = GrainId.Create("reminded", "good");
    private static readonly GrainId Bad = GrainId.Create("reminded", "bad");

    private readonly string _folder = Directory.CreateTempSubdirectory("silo-reminders-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task Reminder_WrittenTwiceAndReadAfterRestart_IsTheSecond()
    {
        string? etag;
        using (var directory = new DurableDirectory(_folder))
        {
            FileReminderTable table = Table(directory);
            await table.UpsertRow(Entry(Good, TimeSpan.FromMinutes(1)));
            etag = await table.UpsertRow(Entry(Good, TimeSpan.FromMinutes(5)));
            await table.UpsertRow(Entry(Bad, TimeSpan.FromMinutes(1)));
        }

        using var again = new DurableDirectory(_folder);
        FileReminderTable read = Table(again);
        ReminderEntry entry = Assert.IsType<ReminderEntry>(await read.ReadRow(Good, "r"));

        Assert.Equal((Good, "r", Start, TimeSpan.FromMinutes(5), etag), (entry.GrainId, entry.ReminderName, entry.StartAt, entry.Period, entry.ETag));
        Assert.Equal(2, (await read.ReadRows(0, 0)).Reminders.Count);
        Assert.Equal(Good, Assert.Single((await read.ReadRows(Good)).Reminders).GrainId);
        Assert.Null(await read.ReadRow(Good, "other"));
    }

    [Fact]
    public async Task Reminder_RemovedByAnOldTag_StaysByItsTagGoes()
    {
        using var directory = new DurableDirectory(_folder);
        FileReminderTable table = Table(directory);
        string old = (await table.UpsertRow(Entry(Good, TimeSpan.FromMinutes(1))))!;
        string etag = (await table.UpsertRow(Entry(Good, TimeSpan.FromMinutes(1))))!;

        Assert.False(await table.RemoveRow(Good, "r", old));
        Assert.True(await table.RemoveRow(Good, "r", etag));
        Assert.False(await table.RemoveRow(Good, "r", etag));
        Assert.Empty(Directory.GetFiles(_folder, "*.json", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task File_OfAnEarlierVersionWithoutTag_IsReadAndCanBeRemoved()
    {
        using var directory = new DurableDirectory(_folder);
        FileReminderTable table = Table(directory);
        await table.UpsertRow(Entry(Good, TimeSpan.FromMinutes(1)));
        string file = Directory.GetFiles(_folder, "good.*.json", SearchOption.AllDirectories).Single();
        await File.WriteAllTextAsync(file, """{"Grain":"reminded/good","Name":"r","StartAt":"2026-01-01T00:00:00Z","Period":"00:01:00"}""");

        ReminderEntry entry = Assert.IsType<ReminderEntry>(await table.ReadRow(Good, "r"));

        Assert.Equal((Start, TimeSpan.FromMinutes(1)), (entry.StartAt, entry.Period));
        Assert.True(await table.RemoveRow(Good, "r", entry.ETag!));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"Grain\"")]
    [InlineData("{}")]
    [InlineData("null")]
    public async Task File_Damaged_OthersAreReadAndItIsNeverOverwritten(string content)
    {
        using var directory = new DurableDirectory(_folder);
        FileReminderTable table = Table(directory);
        await table.UpsertRow(Entry(Good, TimeSpan.FromMinutes(1)));
        await table.UpsertRow(Entry(Bad, TimeSpan.FromMinutes(1)));
        string file = Directory.GetFiles(_folder, "bad.*.json", SearchOption.AllDirectories).Single();
        await File.WriteAllTextAsync(file, content);

        Assert.Equal(Good, Assert.Single((await table.ReadRows(0, 0)).Reminders).GrainId);
        ReminderException e = await Assert.ThrowsAsync<ReminderException>(() => table.UpsertRow(Entry(Bad, TimeSpan.FromMinutes(1))));

        Assert.Contains(file, e.Message, StringComparison.Ordinal);
        Assert.Equal(content, await File.ReadAllTextAsync(file));
    }

    private static FileReminderTable Table(DurableDirectory directory) => new(directory, NullLogger<FileReminderTable>.Instance);

    private static ReminderEntry Entry(GrainId grain, TimeSpan period) => new() { GrainId = grain, ReminderName = "r", StartAt = Start, Period = period };
}
