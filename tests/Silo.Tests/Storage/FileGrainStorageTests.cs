using System.Collections.Immutable;
using System.Text.Json;
using MultiCluster.Silo.Storage;
using Orleans;
using Orleans.Runtime;
using Orleans.Storage;

namespace MultiCluster.Silo.Tests.Storage;

public sealed class FileGrainStorageTests : IDisposable
{
    private static readonly GrainId Grain = GrainId.Create("kept", "g");

    private static readonly string[] Keys =
        ["a", "A", "..", ".", "a/b", "a.b", "a%2Fb", "ключ", "con", "~", new string('x', 500), new string('x', 501)];

    private readonly string _folder = Directory.CreateTempSubdirectory("silo-state-").FullName;

    public static TheoryData<string> OddKeys => [.. Keys];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task State_WrittenReadAndCleared_IsWhatItWasThenNew()
    {
        using var directory = new DurableDirectory(_folder);
        var storage = new FileGrainStorage(directory, "s");
        GrainState<Kept> state = await ReadAsync(storage);
        Assert.Equal(("", false, null), (state.State!.Name, state.RecordExists, state.ETag));

        state.State.Name = "a";
        await storage.WriteStateAsync("main", Grain, state);
        state.State.Name = "b";
        await storage.WriteStateAsync("main", Grain, state);
        GrainState<Kept> read = await ReadAsync(storage);
        Assert.Equal(("b", true, state.ETag), (read.State!.Name, read.RecordExists, read.ETag));
        Assert.False((await ReadAsync(storage, "other")).RecordExists);

        await storage.ClearStateAsync("main", Grain, state);
        Assert.Equal(("", false, null), (state.State.Name, state.RecordExists, state.ETag));
        Assert.False((await ReadAsync(storage)).RecordExists);
    }

    [Fact]
    public async Task State_AfterRestart_IsThere_ReadableByItsOwnerOnly()
    {
        await WriteOnceAsync(Grain, "kept");

        string file = Assert.Single(StateFiles());
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }

        Assert.Equal("kept", await ReadOnceAsync(Grain));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"Grain\":\"kept/g\",\"Na")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"Grain\":\"kept/other\",\"Name\":\"main\",\"Etag\":\"1\",\"State\":{}}")]
    public async Task State_Damaged_SaysWhichFileAndLeavesItAlone(string content)
    {
        await WriteOnceAsync(Grain, "x");
        string file = Assert.Single(StateFiles());
        await File.WriteAllTextAsync(file, content);
        using var directory = new DurableDirectory(_folder);
        var storage = new FileGrainStorage(directory, "s");

        InvalidDataException e = await Assert.ThrowsAsync<InvalidDataException>(() => ReadAsync(storage));
        await Assert.ThrowsAsync<InvalidDataException>(() => storage.WriteStateAsync("main", Grain, new GrainState<Kept>(new Kept())));

        Assert.Contains(file, e.Message, StringComparison.Ordinal);
        Assert.Contains("backup", e.Message, StringComparison.Ordinal);
        Assert.Equal(content, await File.ReadAllTextAsync(file));
    }

    [Fact]
    public async Task State_CrashLeftATemporaryFile_IsCleanedAndTheOldStateHolds()
    {
        await WriteOnceAsync(Grain, "old");
        string leftover = StateFiles().Single() + ".0123.tmp";
        await File.WriteAllTextAsync(leftover, "{\"Grain\":");

        Assert.Equal("old", await ReadOnceAsync(Grain));
        Assert.False(File.Exists(leftover));
    }

    [Fact]
    public async Task State_ChangedBySomebodyElse_FailsWriteAndClearWithBothTags()
    {
        using var directory = new DurableDirectory(_folder);
        var storage = new FileGrainStorage(directory, "s");
        GrainState<Kept> mine = await ReadAsync(storage);
        await storage.WriteStateAsync("main", Grain, mine);
        GrainState<Kept> foreign = await ReadAsync(storage);
        await storage.WriteStateAsync("main", Grain, foreign);

        InconsistentStateException e = await Assert.ThrowsAsync<InconsistentStateException>(() => storage.WriteStateAsync("main", Grain, mine));
        await Assert.ThrowsAsync<InconsistentStateException>(() => storage.ClearStateAsync("main", Grain, mine));

        Assert.Equal((foreign.ETag, mine.ETag), (e.StoredEtag, e.CurrentEtag));
    }

    [Fact]
    public void Directory_UsedTwice_RefusesTheSecond()
    {
        using var directory = new DurableDirectory(_folder);

        IOException e = Assert.Throws<IOException>(() => new DurableDirectory(_folder));

        Assert.Contains("in use by another process", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FileNames_OfOddKeys_AreDifferentSafeAndShort()
    {
        string[] names = Keys.Select(DurableDirectory.NameFor).ToArray();

        Assert.Equal(names.Length, names.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        Assert.All(names, name =>
        {
            Assert.InRange(name.Length, 1, 100);
            Assert.Matches("^[a-z0-9_~%A-F-]+$", name);
        });
    }

    [Theory]
    [MemberData(nameof(OddKeys))]
    public async Task State_AnyKey_ComesBack(string key)
    {
        GrainId grain = GrainId.Create("kept", key);

        await WriteOnceAsync(grain, key);

        Assert.Equal(key, await ReadOnceAsync(grain));
        Assert.All(StateFiles(), f => Assert.StartsWith(_folder, Path.GetFullPath(f), StringComparison.Ordinal));
    }

    [Fact]
    public void Json_RecordsAndImmutableCollections_ComeBackAsTheyWere()
    {
        GrainId id = GrainId.Create("t", "k");
        var state = new Rich
        {
            Names = ["a", "b"],
            ByKey = ImmutableDictionary<string, Point>.Empty.Add("p", new Point(1, null)),
            Kind = DayOfWeek.Friday,
            When = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
            Secret = [1, 2, 3],
            Owner = id,
        };
        state.GetOnly["x"] = 1;

        Rich back = JsonSerializer.Deserialize<Rich>(JsonSerializer.SerializeToUtf8Bytes(state, StateJson.Options), StateJson.Options)!;

        Assert.Equal(new[] { "a", "b" }, back.Names.ToArray());
        Assert.True(back.NeverSet.IsEmpty);
        Assert.Equal(new Point(1, null), back.ByKey["p"]);
        Assert.Equal((DayOfWeek.Friday, state.When, id), (back.Kind, back.When, back.Owner));
        Assert.Equal(state.Secret, back.Secret);
        Assert.Equal(1, back.GetOnly["x"]);
        Assert.Equal(2, back.Count);
    }

    private string[] StateFiles() => Directory.GetFiles(_folder, "*.json", SearchOption.AllDirectories);

    private static async Task<GrainState<Kept>> ReadAsync(FileGrainStorage storage, string name = "main", GrainId grain = default)
    {
        var state = new GrainState<Kept>();
        await storage.ReadStateAsync(name, grain.IsDefault ? Grain : grain, state);
        return state;
    }

    private async Task WriteOnceAsync(GrainId grain, string name)
    {
        using var directory = new DurableDirectory(_folder);
        await new FileGrainStorage(directory, "s").WriteStateAsync("main", grain, new GrainState<Kept>(new Kept { Name = name }));
    }

    private async Task<string> ReadOnceAsync(GrainId grain)
    {
        using var directory = new DurableDirectory(_folder);
        return (await ReadAsync(new FileGrainStorage(directory, "s"), grain: grain)).State!.Name;
    }

    internal sealed record Point(int X, string? Label);

    internal sealed class Rich
    {
        public ImmutableArray<string> Names { get; init; }

        public ImmutableArray<int> NeverSet { get; init; }

        public ImmutableDictionary<string, Point> ByKey { get; init; } = ImmutableDictionary<string, Point>.Empty;

        public DayOfWeek Kind { get; init; }

        public DateTimeOffset When { get; init; }

        public byte[] Secret { get; init; } = [];

        public GrainId Owner { get; init; }

        public Dictionary<string, int> GetOnly { get; } = [];

        public int Count => Names.Length;
    }

    internal sealed class Kept
    {
        public string Name { get; set; } = "";
    }
}
