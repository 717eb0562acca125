using System.Globalization;
using System.Text.Json.Nodes;

namespace MultiCluster.Simulator.Patching;

/// <summary>Who a manager is: two entries of one object never share this.</summary>
internal readonly record struct FieldOwner(string Name, bool Applies, string ApiVersion, string Subresource);

/// <summary>The owners of an object's fields: the decoded form of <c>metadata.managedFields</c>.</summary>
internal sealed class ManagedFields
{
    private sealed record Entry(FieldSet Fields, string ApiVersion, string? Time);

    private readonly Dictionary<FieldOwner, Entry> _entries = [];

    public IEnumerable<FieldOwner> Owners => _entries.Keys;

    /// <summary>Reads the entries; what cannot be read makes all of them count as absent.</summary>
    /// <returns>Null when the object has no entries, or broken ones.</returns>
    public static ManagedFields? Read(JsonObject? source)
    {
        if (source?["metadata"]?["managedFields"] is not JsonArray { Count: > 0 } list)
        {
            return null;
        }

        ManagedFields managed = new();
        foreach (JsonNode? item in list)
        {
            // One empty entry is how a client throws all ownership away.
            if (item is JsonObject { Count: 0 } && list.Count == 1)
            {
                return managed;
            }

            if (item is not JsonObject entry || Text(entry, "operation") is not ("Apply" or "Update") || Text(entry, "apiVersion") is not { } apiVersion)
            {
                return null;
            }

            FieldSet fields = entry["fieldsV1"] is JsonObject tree ? FieldSet.FromJson(tree) : new FieldSet();
            bool applies = Text(entry, "operation") == "Apply";
            managed._entries[Owner(Text(entry, "manager") ?? "", applies, apiVersion, Text(entry, "subresource") ?? "")] =
                new Entry(fields, apiVersion, Text(entry, "time"));
        }

        return managed;
    }

    // An applier stays the same when it changes its version; an updater does not.
    public static FieldOwner Owner(string name, bool applies, string apiVersion, string subresource) =>
        new(name, applies, applies ? "" : apiVersion, subresource);

    public static string Timestamp(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    public FieldSet this[FieldOwner owner] => _entries.TryGetValue(owner, out Entry? entry) ? entry.Fields : new FieldSet();

    public bool Has(FieldOwner owner) => _entries.ContainsKey(owner);

    /// <summary>Replaces an owner's fields and time; without fields the owner goes.</summary>
    public void Set(FieldOwner owner, FieldSet fields, string apiVersion, string? time)
    {
        if (fields.IsEmpty)
        {
            _entries.Remove(owner);
        }
        else
        {
            _entries[owner] = new Entry(fields, apiVersion, time);
        }
    }

    /// <summary>Takes fields away from every owner but one.</summary>
    public void TakeFromOthers(FieldOwner keeper, FieldSet fields)
    {
        if (fields.IsEmpty)
        {
            return;
        }

        foreach (FieldOwner owner in _entries.Keys.Where(o => o != keeper).ToArray())
        {
            Entry entry = _entries[owner];
            Set(owner, entry.Fields.Except(fields), entry.ApiVersion, entry.Time);
        }
    }

    public string? TimeOf(FieldOwner owner) => _entries.TryGetValue(owner, out Entry? entry) ? entry.Time : null;

    /// <summary>Writes the entries in the order of the API server: operation, time, name, version, subresource.</summary>
    public void WriteTo(JsonObject target)
    {
        if (target["metadata"] is not JsonObject metadata)
        {
            return;
        }

        if (_entries.Count == 0)
        {
            metadata.Remove("managedFields");
            return;
        }

        JsonArray list = [];
        foreach ((FieldOwner owner, Entry entry) in _entries
            .OrderBy(e => e.Key.Applies ? "Apply" : "Update", StringComparer.Ordinal)
            .ThenBy(e => e.Value.Time ?? "", StringComparer.Ordinal)
            .ThenBy(e => e.Key.Name, StringComparer.Ordinal)
            .ThenBy(e => e.Value.ApiVersion, StringComparer.Ordinal)
            .ThenBy(e => e.Key.Subresource, StringComparer.Ordinal))
        {
            JsonObject json = new() { ["manager"] = owner.Name, ["operation"] = owner.Applies ? "Apply" : "Update", ["apiVersion"] = entry.ApiVersion };
            if (entry.Time is not null)
            {
                json["time"] = entry.Time;
            }

            json["fieldsType"] = "FieldsV1";
            json["fieldsV1"] = entry.Fields.ToJson();
            if (owner.Subresource.Length > 0)
            {
                json["subresource"] = owner.Subresource;
            }

            list.Add(json);
        }

        metadata["managedFields"] = list;
    }

    private static string? Text(JsonObject entry, string field) =>
        entry[field] is JsonValue value && value.TryGetValue(out string? text) && text.Length > 0 ? text : null;
}
