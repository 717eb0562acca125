using System.Collections.Immutable;
using MultiCluster.Clusters;
using MultiCluster.Grains.Cluster;
using MultiCluster.Kubernetes.Discovery;

namespace MultiCluster.Grains.Tests.Cluster;

public sealed class KindSelectionTests
{
    private static readonly ImmutableArray<ResourceType> Served =
    [
        Type("", "v1", "pods"),
        Type("", "v1", "events"),
        Type("", "v1", "secrets"),
        Type("", "v1", "bindings") with { Verbs = ["create"] },
        Type("apps", "v1", "deployments"),
        Type("coordination.k8s.io", "v1", "leases"),
        Type("example.com", "v2", "widgets"),
        Type("example.com", "v1", "widgets"),
        Type("example.com", "v1", "gears"),
        Type("old.example.com", "v2", "things") with { Verbs = ["list"] },
        Type("old.example.com", "v1", "things"),
    ];

    [Theory]
    [InlineData("", "", "deployments.apps gears.example.com pods things.old.example.com widgets.example.com")]
    [InlineData("pods", "", "pods")]
    [InlineData("secrets", "", "secrets")]
    [InlineData("* secrets", "", "deployments.apps gears.example.com pods secrets things.old.example.com widgets.example.com")]
    [InlineData("*.example.com", "", "gears.example.com widgets.example.com")]
    [InlineData("*.coordination.k8s.io", "", "")]
    [InlineData("", "*.example.com", "deployments.apps pods things.old.example.com")]
    [InlineData("pods secrets", "secrets", "pods")]
    [InlineData("", "*", "")]
    [InlineData("nothing.example.com", "", "")]
    public void Choose_Scope_MirrorsThese(string include, string exclude, string expected)
    {
        var scope = new MirrorScope { Include = Split(include), Exclude = Split(exclude) };

        SelectedKinds kinds = KindSelection.Choose(Served, scope, new MirrorOptions().DenyList);

        Assert.Equal(expected, string.Join(' ', kinds.Mirrored.Select(type => type.GroupResource)));
        Assert.Equal(Served.Select(type => type.GroupResource).Distinct().Count(), kinds.Mirrored.Length + kinds.LeftOut.Length);
    }

    [Fact]
    public void Choose_SeveralVersions_TakesThePreferredOneThatCanBeWatched()
    {
        SelectedKinds kinds = KindSelection.Choose(Served, MirrorScope.Default, []);

        Assert.Equal("v2", kinds.Mirrored.Single(type => type.Plural == "widgets").Version);
        Assert.Equal("v1", kinds.Mirrored.Single(type => type.Plural == "things").Version);
    }

    [Theory]
    [InlineData("Pods", "mirror.include")]
    [InlineData("pods/log", "mirror.include")]
    [InlineData("", "mirror.include")]
    [InlineData("**.x", "mirror.include")]
    public void Check_BadPattern_NamesTheField(string pattern, string field)
    {
        ClusterFault? fault = KindSelection.Check(new MirrorScope { Include = [pattern] });

        Assert.Equal((ClusterFault.InvalidRequest, field), (fault!.Kind, fault.Field));
    }

    private static ImmutableArray<string> Split(string text) => [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries)];

    private static ResourceType Type(string group, string version, string plural)
        => new(group, version, plural, plural, Namespaced: true) { Verbs = ["get", "list", "watch"] };
}
