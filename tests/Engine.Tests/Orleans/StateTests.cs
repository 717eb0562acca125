using System.Collections.Immutable;
using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Actors;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.Storage;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class StateTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("engine-state-").FullName;

    internal interface IStateGrain : IGrainWithStringKey
    {
        Task Set(string name, int value);

        Task<(string Name, int Value, bool Stored)> Get();

        Task Clear();

        Task<string> Activation();
    }

    private static readonly string[] Keys =
        ["a", "A", "..", ".", "a/b", "a.b", "a%2Fb", "ключ", "con", "~", new string('x', 500), new string('x', 501)];

    public static TheoryData<string> OddKeys => [.. Keys];

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task State_Written_IsThereForTheNextActivation(bool files)
    {
        await using InProcessTestCluster cluster = await StartAsync(files);
        IStateGrain grain = cluster.Client.GetGrain<IStateGrain>("g");

        Assert.Equal(("", 0, false), await grain.Get().Soon());
        await grain.Set("a", 1).Soon();
        await grain.Set("b", 2).Soon();
        await cluster.DeactivateAsync(grain).Soon();
        Assert.Equal(("b", 2, true), await grain.Get().Soon());
        await grain.Clear().Soon();
        Assert.Equal(("", 0, false), await grain.Get().Soon());
        await cluster.DeactivateAsync(grain).Soon();
        Assert.Equal(("", 0, false), await grain.Get().Soon());
    }

    [Fact]
    public async Task FileState_AfterRestart_IsThere_ReadableByItsOwnerOnly()
    {
        await using (InProcessTestCluster cluster = await StartAsync(files: true))
        {
            await cluster.Client.GetGrain<IStateGrain>("g").Set("kept", 3).Soon();
        }

        string file = Assert.Single(StateFiles());
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }

        await using InProcessTestCluster again = await StartAsync(files: true);
        Assert.Equal(("kept", 3, true), await again.Client.GetGrain<IStateGrain>("g").Get().Soon());
    }

    [Theory]
    [InlineData("")]
    [InlineData("{\"Grain\":\"state/g\",\"Na")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{\"Grain\":\"state/other\",\"Name\":\"main\",\"Etag\":\"1\",\"State\":{}}")]
    public async Task FileState_Damaged_SaysWhichFileAndLeavesItAlone(string content)
    {
        string file;
        await using (InProcessTestCluster cluster = await StartAsync(files: true))
        {
            await cluster.Client.GetGrain<IStateGrain>("g").Set("x", 1).Soon();
            file = Assert.Single(StateFiles());
        }

        await File.WriteAllTextAsync(file, content);
        await using InProcessTestCluster again = await StartAsync(files: true);
        IStateGrain grain = again.Client.GetGrain<IStateGrain>("g");

        InvalidDataException e = await Assert.ThrowsAsync<InvalidDataException>(grain.Get).Soon();
        await Assert.ThrowsAsync<InvalidDataException>(() => grain.Set("y", 2)).Soon();

        Assert.Contains(file, e.Message, StringComparison.Ordinal);
        Assert.Contains("backup", e.Message, StringComparison.Ordinal);
        Assert.Equal(content, await File.ReadAllTextAsync(file));
    }

    [Fact]
    public async Task FileState_CrashLeftATemporaryFile_IsCleanedAndTheOldStateHolds()
    {
        await using (InProcessTestCluster cluster = await StartAsync(files: true))
        {
            await cluster.Client.GetGrain<IStateGrain>("g").Set("old", 1).Soon();
        }

        string leftover = StateFiles().Single() + ".0123.tmp";
        await File.WriteAllTextAsync(leftover, "{\"Grain\":");
        await using InProcessTestCluster again = await StartAsync(files: true);

        Assert.Equal(("old", 1, true), await again.Client.GetGrain<IStateGrain>("g").Get().Soon());
        Assert.False(File.Exists(leftover));
    }

    [Fact]
    public async Task State_ChangedBySomebodyElse_FailsTheWriteAndEndsTheActivation()
    {
        await using InProcessTestCluster cluster = await StartAsync(files: true);
        IStateGrain grain = cluster.Client.GetGrain<IStateGrain>("g");
        await grain.Set("mine", 1).Soon();
        string activation = await grain.Activation().Soon();
        IGrainStorage storage = cluster.Silos[0].ServiceProvider.GetRequiredKeyedService<IGrainStorage>("Default");
        var foreign = new GrainState<Kept>();
        await storage.ReadStateAsync("main", grain.GetGrainId(), foreign);
        foreign.State!.Name = "foreign";
        await storage.WriteStateAsync("main", grain.GetGrainId(), foreign);

        InconsistentStateException e = await Assert.ThrowsAsync<InconsistentStateException>(() => grain.Set("mine", 2)).Soon();

        Assert.Equal(foreign.ETag, e.StoredEtag);
        Assert.Equal("foreign", (await grain.Get().Soon()).Name);
        Assert.NotEqual(activation, await grain.Activation().Soon());
    }

    [Fact]
    public async Task DataDirectory_UsedTwice_RefusesTheSecond()
    {
        await using InProcessTestCluster cluster = await StartAsync(files: true);

        IOException e = Assert.Throws<IOException>(() => new DurableDirectory(_folder));

        Assert.Contains("in use by another process", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Storage_NotRegistered_SaysWhichGrainNeedsIt()
    {
        InProcessTestCluster cluster = new InProcessTestClusterBuilder()
            .ConfigureSilo((_, silo) => silo.Services.AddSingleton(new Probe())).Build();
        await cluster.DeployAsync().Soon();

        BadProviderConfigException e = await Assert.ThrowsAsync<BadProviderConfigException>(cluster.Client.GetGrain<IStateGrain>("g").Get).Soon();

        Assert.Contains(nameof(StateGrain), e.Message, StringComparison.Ordinal);
        await cluster.DisposeAsync();
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
    public async Task FileState_AnyKey_ComesBack(string key)
    {
        await using (InProcessTestCluster cluster = await StartAsync(files: true))
        {
            await cluster.Client.GetGrain<IStateGrain>(key).Set(key, 1).Soon();
        }

        await using InProcessTestCluster again = await StartAsync(files: true);
        Assert.Equal((key, 1, true), await again.Client.GetGrain<IStateGrain>(key).Get().Soon());
        Assert.All(StateFiles(), f => Assert.StartsWith(_folder, Path.GetFullPath(f), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Json_RecordsAndImmutableCollections_ComeBackAsTheyWere()
    {
        var storage = new MemoryGrainStorage();
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
        await storage.WriteStateAsync("s", id, new GrainState<Rich>(state));

        var read = new GrainState<Rich>();
        await storage.ReadStateAsync("s", id, read);

        Rich back = read.State!;
        Assert.Equal(new[] { "a", "b" }, back.Names.ToArray());
        Assert.True(back.NeverSet.IsEmpty);
        Assert.Equal(new Point(1, null), back.ByKey["p"]);
        Assert.Equal((DayOfWeek.Friday, state.When, id), (back.Kind, back.When, back.Owner));
        Assert.Equal(state.Secret, back.Secret);
        Assert.Equal(1, back.GetOnly["x"]);
        Assert.Equal(2, back.Count);
    }

    private string[] StateFiles() => Directory.GetFiles(_folder, "*.json", SearchOption.AllDirectories);

    private Task<InProcessTestCluster> StartAsync(bool files) => TestCluster.StartAsync(new Probe(), silo =>
    {
        if (files)
        {
            silo.UseFileStorage(_folder);
        }
    });

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

        public int Value { get; set; }
    }

    internal sealed class StateGrain([PersistentState("main")] IPersistentState<Kept> state, [PersistentState("other")] IPersistentState<Kept> other)
        : Grain, IStateGrain
    {
        public Task Set(string name, int value)
        {
            (state.State.Name, state.State.Value) = (name, value);
            return state.WriteStateAsync();
        }

        public Task<(string Name, int Value, bool Stored)> Get()
        {
            Assert.False(other.RecordExists);
            return Task.FromResult((state.State.Name, state.State.Value, state.RecordExists));
        }

        public Task Clear() => state.ClearStateAsync();

        public Task<string> Activation() => Task.FromResult(GrainContext.ActivationId.ToString());
    }
}
