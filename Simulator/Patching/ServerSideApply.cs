using System.Text.Json.Nodes;
using MultiCluster.Simulator.OpenApi;

namespace MultiCluster.Simulator.Patching;

/// <summary>Who writes, through which endpoint, and when.</summary>
/// <param name="Subresource">Empty, or the name of the subresource such as status or scale.</param>
internal sealed record FieldWriter(string Manager, string ApiVersion, string Subresource, DateTimeOffset Now);

/// <summary>A field that somebody else owns and the applied configuration would change.</summary>
/// <param name="Message">Such as: conflict with "one".</param>
/// <param name="Field">Such as: .data.a.</param>
internal sealed record FieldConflict(string Message, string Field);

/// <summary>The merged object, or the conflicts that prevent it.</summary>
internal sealed record ApplyOutcome(JsonObject? Object, IReadOnlyList<FieldConflict> Conflicts)
{
    /// <summary>The message of the 409 Status.</summary>
    public string Message
    {
        get
        {
            if (Conflicts.Count == 1)
            {
                return $"Apply failed with 1 conflict: {Conflicts[0].Message}: {Conflicts[0].Field}";
            }

            IEnumerable<string> groups = Conflicts.GroupBy(c => c.Message).OrderBy(g => g.Key, StringComparer.Ordinal)
                .Select(g => string.Concat("conflicts", g.Key.AsSpan("conflict".Length), ":\n", string.Join('\n', g.Select(c => $"- {c.Field}"))));
            return $"Apply failed with {Conflicts.Count} conflicts: {string.Join('\n', groups)}";
        }
    }
}

/// <summary>Server-side apply, and the ownership of fields that every other write leaves behind.</summary>
/// <remarks>
/// Pure: the arguments are not changed (but for <c>after</c> of <see cref="TrackUpdate"/>), the result shares nothing with them.
/// The caller removes from the configuration what its endpoint does not write (status on the main resource and the reverse),
/// refuses managedFields in it, fills in defaults afterwards, and compares the result with the live object to see a no-op.
/// </remarks>
internal static class ServerSideApply
{
    // Set by the server or part of the identity: nobody owns these.
    private static readonly string[] Unowned =
        ["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields", "resourceVersion"];

    /// <summary>Merges a configuration into the live object, or makes the object from it.</summary>
    /// <param name="live">Null when the object does not exist yet.</param>
    public static ApplyOutcome Apply(JsonObject? live, JsonObject config, FieldWriter writer, bool force, SchemaNode schema)
    {
        ManagedFields managed = ManagedFields.Read(live) ?? BeforeTracking(live, schema);
        FieldOwner self = ManagedFields.Owner(writer.Manager, applies: true, writer.ApiVersion, writer.Subresource);
        FieldSet last = managed[self];
        string? lastTime = managed.TimeOf(self);
        FieldSet mine = Strip(FieldWalker.FieldsOf(config, schema));
        JsonObject before = live is null ? FieldWalker.Zero(schema) : Bare(live);
        var merged = (JsonObject)FieldWalker.Merge(live is null ? new JsonObject() : before, Bare(config), schema)!;

        FieldSet kept = managed.Owners.Where(o => o != self).Aggregate(mine, (set, owner) => set.Union(managed[owner]));
        Prune(merged, last, kept, schema);

        FieldDifference difference = FieldWalker.Compare(before, merged, schema);
        FieldSet written = Strip(difference.AddedOrModified);
        List<FieldConflict> conflicts = [];
        foreach (FieldOwner owner in managed.Owners.Where(o => o != self))
        {
            conflicts.AddRange(managed[owner].Intersect(written).Members().Select(path => new FieldConflict(Describe(owner), FieldSet.Display(path))));
        }

        if (conflicts.Count > 0 && !force)
        {
            return new ApplyOutcome(null, conflicts);
        }

        managed.TakeFromOthers(self, written.Union(difference.Removed));
        bool same = live is not null && mine.SetEquals(last) && JsonNode.DeepEquals(before, merged);
        managed.Set(self, mine, writer.ApiVersion, same ? lastTime : ManagedFields.Timestamp(writer.Now));
        managed.WriteTo(merged);
        return new ApplyOutcome(merged, []);
    }

    /// <summary>Writes into <paramref name="after"/> who owns what after a create, an update or a patch other than apply.</summary>
    /// <param name="before">The object as stored; null on create.</param>
    /// <param name="after">
    /// The new object with defaults. Its own managedFields count when it has any, for a client may hand ownership over by editing them.
    /// </param>
    public static void TrackUpdate(JsonObject? before, JsonObject after, FieldWriter writer, SchemaNode schema)
    {
        ManagedFields managed = ManagedFields.Read(after) ?? ManagedFields.Read(before) ?? new ManagedFields();
        FieldOwner self = ManagedFields.Owner(writer.Manager, applies: false, writer.ApiVersion, writer.Subresource);
        FieldDifference difference = FieldWalker.Compare(before is null ? FieldWalker.Zero(schema) : Bare(before), Bare(after), schema);
        FieldSet written = Strip(difference.AddedOrModified);
        managed.TakeFromOthers(self, written.Union(difference.Removed));
        FieldSet previous = managed[self];
        FieldSet mine = previous.Except(difference.Removed).Union(written);
        if (!written.IsEmpty || !mine.SetEquals(previous))
        {
            // The real server keeps no time for what came in through scale.
            string? time = writer.Subresource == "scale" ? null : ManagedFields.Timestamp(writer.Now);
            managed.Set(self, mine, writer.ApiVersion, written.IsEmpty ? managed.TimeOf(self) : time);
        }

        managed.WriteTo(after);
    }

    // An object that nobody tracked belongs to a nameless updater, so that an apply meets conflicts and not silence.
    private static ManagedFields BeforeTracking(JsonObject? live, SchemaNode schema)
    {
        ManagedFields managed = new();
        if (live is not null)
        {
            string version = live["apiVersion"]?.GetValue<string>() ?? "v1";
            FieldSet everything = Strip(FieldWalker.Compare(FieldWalker.Zero(schema), Bare(live), schema).AddedOrModified);
            managed.Set(ManagedFields.Owner("before-first-apply", applies: false, version, ""), everything, version, null);
        }

        return managed;
    }

    private static void Prune(JsonObject merged, FieldSet last, FieldSet kept, SchemaNode schema)
    {
        // Parents first: an item that goes takes everything in it along, and could not be found without its keys.
        foreach (string[] path in last.Members().OrderBy(p => p.Length))
        {
            if (kept.Touches(path) || !FieldWalker.Remove(merged, path, schema))
            {
                continue;
            }

            // What held nothing but the removed field goes with it, unless somebody wants it empty.
            for (int length = path.Length - 1; length > 0; length--)
            {
                ReadOnlySpan<string> parent = path.AsSpan(0, length);
                if (kept.Touches(parent.ToArray()) || !FieldWalker.IsEmptyContainer(merged, parent, schema))
                {
                    break;
                }

                FieldWalker.Remove(merged, parent, schema);
            }
        }
    }

    private static JsonObject Bare(JsonObject source)
    {
        var copy = (JsonObject)source.DeepClone();
        (copy["metadata"] as JsonObject)?.Remove("managedFields");
        return copy;
    }

    private static FieldSet Strip(FieldSet set)
    {
        FieldSet stripped = set.Clone();
        stripped.Cut("f:apiVersion");
        stripped.Cut("f:kind");
        foreach (string name in Unowned)
        {
            stripped.Cut("f:metadata", "f:" + name);
        }

        stripped.Unmark("f:metadata");
        return stripped;
    }

    private static string Describe(FieldOwner owner)
    {
        string text = $"conflict with \"{owner.Name}\"";
        text = owner.Subresource.Length > 0 ? $"{text} with subresource \"{owner.Subresource}\"" : text;
        return owner.Applies ? text : $"{text} using {owner.ApiVersion}";
    }
}
