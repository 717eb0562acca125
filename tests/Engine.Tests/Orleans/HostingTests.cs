using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Orleans;
using Orleans.Hosting;
using Orleans.Runtime;

namespace MultiCluster.Engine.Tests.Actors;

public sealed class HostingTests
{
    [Fact]
    public async Task Host_WithGrains_StartsFastRunsStartupTasksInOrderAndStops()
    {
        var probe = new Probe();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton(probe);
        builder.UseOrleans(silo => silo
            .UseLocalhostClustering()
            .AddStartupTask((_, _) => Note("second"), stage: 2)
            .AddStartupTask(async (services, _) =>
            {
                await services.GetRequiredService<IGrainFactory>().GetGrain<ITurnGrain>("s").Count();
                await Note("first");
            }, stage: 1));
        builder.UseOrleans(silo => silo.AddMemoryGrainStorageAsDefault());   // a second call adds to the first
        using IHost host = builder.Build();
        long before = Stopwatch.GetTimestamp();

        await host.StartAsync().Soon();

        Assert.True(Stopwatch.GetElapsedTime(before) < TimeSpan.FromSeconds(30));
        Assert.Equal(["first", "second"], probe.Journal);
        Assert.Same(host.Services.GetRequiredService<IClusterClient>(), host.Services.GetRequiredService<IGrainFactory>());
        await host.StopAsync().Soon();

        Task Note(string what)
        {
            probe.Note(what);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task HostBuilder_AndInterfaces_WorkTheSame()
    {
        using IHost host = new HostBuilder()
            .UseOrleans((_, silo) => silo.Services.AddSingleton(new Probe()))
            .Build();
        await host.StartAsync().Soon();
        ITurnGrain grain = host.Services.GetRequiredService<IClusterClient>().GetGrain<ITurnGrain>("k");

        Assert.Equal("k", await grain.Key());
        Assert.Equal(grain, ((IAddressable)grain).AsReference<ITurnGrain>());
        Assert.Equal(grain, host.Services.GetRequiredService<IGrainFactory>().GetGrain<ITurnGrain>(((IAddressable)grain).GetGrainId()));
        await host.StopAsync().Soon();
    }

    [Theory]
    [InlineData(typeof(INoClass), "No grain class implements")]
    [InlineData(typeof(IProperty), "property")]
    [InlineData(typeof(IPlainResult), "instead of a Task")]
    public async Task Interface_ThatCannotBeCalled_SaysWhy(Type type, string reason)
    {
        using IHost host = new HostBuilder().UseOrleans((_, silo) => silo.Services.AddSingleton(new Probe())).Build();
        await host.StartAsync().Soon();

        Exception e = Assert.ThrowsAny<Exception>(() => host.Services.GetRequiredService<IGrainFactory>().GetGrain(type, "k"));

        Assert.Contains(reason, e.Message, StringComparison.Ordinal);
        await host.StopAsync().Soon();
    }

    internal interface INoClass : IGrainWithStringKey;

    internal interface IProperty : IGrainWithStringKey
    {
        int Value { get; }
    }

    internal interface IPlainResult : IGrainWithStringKey
    {
        int Compute();
    }

    internal sealed class PropertyGrain : Grain, IProperty
    {
        public int Value => 1;
    }

    internal sealed class PlainResultGrain : Grain, IPlainResult
    {
        public int Compute() => 1;
    }
}
