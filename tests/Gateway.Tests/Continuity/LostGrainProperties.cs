using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Gateway.Reads;
using MultiCluster.Reads;
using MultiCluster.Simulator.Hosting;

namespace MultiCluster.Gateway.Tests.Continuity;

/// <summary>Whatever changes, and whenever the grain loses its memory: what a watch tells adds up to the state of the member, and no object goes back.</summary>
public sealed class LostGrainProperties
{
    private const int Objects = 6;

    public enum Kind
    {
        Put, PutOther, Delete, Renew, Read, Lose,
    }

    public readonly record struct Step(Kind Kind, int Object);

    private static readonly Gen<Step> Steps =
        from kind in Gen.Frequency((6, Gen.Elements(Kind.Put, Kind.PutOther)), (4, Gen.Elements(Kind.Delete, Kind.Renew)), (3, Gen.Constant(Kind.Read)), (2, Gen.Constant(Kind.Lose)))
        from thing in Gen.Choose(0, Objects - 1)
        select new Step(kind, thing);

    [Theory]
    [InlineData(null, null)]
    [InlineData("tier=a", null)]
    [InlineData(null, "data.tier = a")]
    public async Task Watch_AnyChangesAndLosses_AddUpToTheStateOfTheMember(string? labels, string? fields)
    {
        await using SimulatedCluster member = await SimulatedCluster.StartAsync(new SimulatedClusterOptions { Housekeeping = false });
        member.Objects.Create("""{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"} }""");
        await using MovingFleet fleet = await MovingFleet.StartAsync();
        await fleet.JoinAsync("eu-1", member, "configmaps");
        var query = new ObjectQuery { Kind = "configmaps", Namespaces = ["shop"], LabelSelector = labels, FieldSelector = fields };
        bool selects = labels is not null || fields is not null;
        Prop.ForAll(Steps.ListOf().Resize(30).ToArbitrary(), steps => Task.Run(() => RunAsync(fleet, member, query, selects, [.. steps])).GetAwaiter().GetResult())
            .Check(Config.QuickThrowOnFailure.WithMaxTest(15).WithEndSize(30));
    }

    private static async Task RunAsync(MovingFleet fleet, SimulatedCluster member, ObjectQuery query, bool selects, Step[] steps)
    {
        await using var watch = new Follower(fleet, query);
        foreach (Step step in steps)
        {
            string name = $"o{step.Object}";
            bool exists = member.Objects.Get("v1", "ConfigMap", "shop", name) is not null;
            switch (step.Kind)
            {
                case Kind.Put or Kind.PutOther:
                    Put(member, name, step.Kind == Kind.Put ? "a" : "b", exists);
                    break;
                case Kind.Delete or Kind.Renew:
                    _ = exists && member.Objects.Delete("v1", "ConfigMap", "shop", name);
                    if (step.Kind == Kind.Renew)
                    {
                        Put(member, name, "a", exists: false);
                    }

                    break;
                case Kind.Read:
                    await watch.ReadSomeAsync();
                    break;
                default:
                    await fleet.LoseAsync("eu-1");
                    break;
            }
        }

        await watch.UntilAsync(w => w.IsPresent && w.Held.SequenceEqual(Truth(member, selects)));
    }

    private static void Put(SimulatedCluster member, string name, string tier, bool exists)
    {
        if (!exists)
        {
            member.Objects.Create($$$"""{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{{name}}}","namespace":"shop","labels":{"tier":"{{{tier}}}"} },"data":{"tier":"{{{tier}}}","n":"0"} }""");
            return;
        }

        member.Objects.Update("v1", "ConfigMap", "shop", name, o =>
        {
            o["metadata"]!["labels"]!["tier"] = tier;
            o["data"]!["tier"] = tier;
            o["data"]!["n"] = $"{int.Parse(o["data"]!["n"]!.GetValue<string>(), System.Globalization.CultureInfo.InvariantCulture) + 1}";
        });
    }

    private static string[] Truth(SimulatedCluster member, bool selects)
    {
        List<string> found = [];
        for (int i = 0; i < Objects; i++)
        {
            if (member.Objects.Get("v1", "ConfigMap", "shop", $"o{i}") is { } text)
            {
                using JsonDocument json = JsonDocument.Parse(text);
                if (!selects || json.RootElement.GetProperty("data").GetProperty("tier").GetString() == "a")
                {
                    found.Add($"eu-1/shop/o{i}@{json.RootElement.GetProperty("metadata").GetProperty("resourceVersion").GetString()}");
                }
            }
        }

        return [.. found];
    }
}
