using Microsoft.Extensions.DependencyInjection;
using MultiCluster.Engine.Actors;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;
using Orleans.Storage;
using Orleans.TestingHost;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class StateTests
{
    internal interface IStateGrain : IGrainWithStringKey
    {
        Task Set(string name, int value);

        Task<(string Name, int Value, bool Stored)> Get();

        Task Clear();

        Task<string> Activation();
    }

    [Fact]
    public async Task State_Written_IsThereForTheNextActivation()
    {
        await using InProcessTestCluster cluster = await StartAsync();
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
    public async Task State_ChangedBySomebodyElse_FailsTheWriteAndEndsTheActivation()
    {
        await using InProcessTestCluster cluster = await StartAsync();
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
    public async Task Storage_NotRegistered_SaysWhichGrainNeedsIt()
    {
        InProcessTestCluster cluster = new InProcessTestClusterBuilder()
            .ConfigureSilo((_, silo) => silo.Services.AddSingleton(new Probe())).Build();
        await cluster.DeployAsync().Soon();

        BadProviderConfigException e = await Assert.ThrowsAsync<BadProviderConfigException>(cluster.Client.GetGrain<IStateGrain>("g").Get).Soon();

        Assert.Contains(nameof(StateGrain), e.Message, StringComparison.Ordinal);
        await cluster.DisposeAsync();
    }

    private static Task<InProcessTestCluster> StartAsync() => TestCluster.StartAsync(new Probe());

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
