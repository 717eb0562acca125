using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using MultiCluster.Grains.Cluster;
using MultiCluster.Grains.Fleet;
using MultiCluster.Kubernetes.Transport;
using MultiCluster.Kubernetes.Watching;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class OptionsTests
{
    [Fact]
    public void Defaults_AreValid()
    {
        using ServiceProvider services = Build([]);

        Assert.Equal(TimeSpan.FromSeconds(10), services.GetRequiredService<IOptions<HealthOptions>>().Value.ProbeInterval);
        Assert.Equal(4, services.GetRequiredService<IOptions<MirrorOptions>>().Value.ListsPerCluster);
        Assert.Equal(TimeSpan.FromMinutes(10), services.GetRequiredService<IOptions<FleetOptions>>().Value.DepartureWindow);
    }

    [Fact]
    public void Settings_OfTheClient_ReachIt()
    {
        using ServiceProvider services = Build(new() { ["Mirror:PageSize"] = "123", ["Client:RequestsPerSecond"] = "7" });

        Assert.Equal(123, services.GetRequiredService<IOptions<ReflectorOptions>>().Value.PageSize);
        Assert.Equal(7, services.GetRequiredService<IOptions<KubeClientOptions>>().Value.RequestsPerSecond);
    }

    [Fact]
    public void SeveralFaults_AreAllReported()
    {
        using ServiceProvider services = Build(new()
        {
            ["Health:DownAfter"] = "0",
            ["Health:ProbeInterval"] = "00:00:00",
            ["Health:CheckTimeout"] = "01:00:00",
        });

        OptionsValidationException failure = Assert.Throws<OptionsValidationException>(() => services.GetRequiredService<IOptions<HealthOptions>>().Value);

        Assert.Equal(3, failure.Failures.Count());
        Assert.All(failure.Failures, fault => Assert.StartsWith("Health:", fault, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Mirror:ListsPerProcess", "0", typeof(MirrorOptions))]
    [InlineData("Mirror:DenyList:0", "No Kind", typeof(MirrorOptions))]
    [InlineData("Mirror:HistoryChanges", "1", typeof(MirrorOptions))]
    [InlineData("Fleet:StartConcurrency", "0", typeof(FleetOptions))]
    [InlineData("Fleet:Heartbeat", "00:00:00.5", typeof(FleetOptions))]
    public void Fault_OfOneOption_NamesIt(string key, string value, Type options)
    {
        using ServiceProvider services = Build(new() { [key] = value });

        Exception? failure = Record.Exception(() => _ = options == typeof(MirrorOptions)
            ? services.GetRequiredService<IOptions<MirrorOptions>>().Value
            : (object)services.GetRequiredService<IOptions<FleetOptions>>().Value);

        Assert.Contains(string.Join(':', key.Split(':').Take(2)), Assert.IsType<OptionsValidationException>(failure).Message, StringComparison.Ordinal);
    }

    private static ServiceProvider Build(Dictionary<string, string?> settings) => new ServiceCollection()
        .AddSingleton<IConfiguration>(new ConfigurationBuilder().AddInMemoryCollection(settings).Build())
        .AddLogging()
        .AddMultiClusterGrains()
        .BuildServiceProvider();
}
