using System.Collections.Immutable;
using System.Text.Json.Nodes;
using MultiCluster.Simulator.Json;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Discovery;

/// <summary>What a CRD says about one of its versions beyond the names.</summary>
/// <param name="Schema">OpenAPI v3 schema; null accepts anything.</param>
/// <param name="PrinterColumns"><c>additionalPrinterColumns</c>; null for the default ones.</param>
/// <param name="SelectableFields">Paths such as <c>spec.color</c>.</param>
/// <param name="HasStatus">Whether status is a subresource: then it is written only there, and does not count as a change of the spec.</param>
/// <param name="Scale">Paths of the scale subresource; null without one.</param>
internal sealed record CustomResourceVersion(
    JsonObject? Schema, JsonArray? PrinterColumns, ImmutableArray<string> SelectableFields, bool HasStatus, ScalePaths? Scale);

/// <summary>Where a custom resource keeps what its scale subresource shows; paths without the leading dot.</summary>
internal sealed record ScalePaths(string SpecReplicas, string StatusReplicas, string? LabelSelector);

/// <summary>Reads the resources that a CustomResourceDefinition serves.</summary>
internal static class CustomResources
{
    // The order in which a real server lists the verbs of custom resources.
    private static readonly ImmutableArray<string> Verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

    /// <summary>The served versions of a CRD, the storage version first when it is served.</summary>
    public static IEnumerable<ApiResource> Of(JsonObject definition)
    {
        JsonNode spec = definition["spec"]!;
        JsonNode? names = spec["names"];
        string group = spec.Text("group")!;
        string plural = names.Text("plural")!;
        JsonObject[] versions = [.. spec["versions"]!.AsArray().OfType<JsonObject>()];
        string storage = versions.FirstOrDefault(v => v.Flag("storage")).Text("name") ?? versions[0].Text("name")!;
        foreach (JsonObject version in versions.Where(v => v.Flag("served")))
        {
            string name = version.Text("name")!;
            var subresources = ImmutableArray.CreateBuilder<ApiSubresource>();
            if (version.At("subresources", "scale") is not null)
            {
                subresources.Add(new ApiSubresource("scale", "Scale", "autoscaling", "v1", ["get", "patch", "update"]));
            }

            if (version.At("subresources", "status") is not null)
            {
                subresources.Add(new ApiSubresource("status", names.Text("kind")!, null, null, ["get", "patch", "update"]));
            }

            yield return new ApiResource
            {
                Group = group,
                Version = name,
                Plural = plural,
                Singular = names.Text("singular") ?? names.Text("kind")!.ToLowerInvariant(),
                Kind = names.Text("kind")!,
                ListKind = names.Text("listKind") ?? names.Text("kind") + "List",
                Namespaced = spec.Text("scope") == "Namespaced",
                Verbs = Verbs,
                ShortNames = Texts(names.At("shortNames")),
                Categories = Texts(names.At("categories")),
                Subresources = subresources.ToImmutable(),
                Storage = new ResourceName(group, plural),
                StorageApiVersion = $"{group}/{storage}",
                Custom = new CustomResourceVersion(
                    version.At("schema", "openAPIV3Schema") as JsonObject,
                    version["additionalPrinterColumns"] as JsonArray,
                    [.. (version["selectableFields"] as JsonArray ?? []).Select(f => f.Text("jsonPath")!.TrimStart('.'))],
                    version.At("subresources", "status") is not null,
                    ScaleOf(version.At("subresources", "scale"))),
            };
        }
    }

    private static ScalePaths? ScaleOf(JsonNode? scale) => scale is null ? null : new ScalePaths(
        scale.Text("specReplicasPath")!.TrimStart('.'), scale.Text("statusReplicasPath")!.TrimStart('.'),
        scale.Text("labelSelectorPath")?.TrimStart('.'));

    private static ImmutableArray<string> Texts(JsonNode? node) =>
        node is JsonArray array ? [.. array.Select(n => n!.GetValue<string>())] : [];
}
