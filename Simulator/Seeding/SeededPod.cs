using System.Buffers;
using System.Buffers.Text;
using System.Globalization;
using System.Text;
using MultiCluster.Simulator.Storage;

namespace MultiCluster.Simulator.Seeding;

/// <summary>What the pods of one seeded owner share.</summary>
internal sealed class SeededOwner
{
    public required PodTemplate Template { get; init; }

    public required string Namespace { get; init; }

    /// <summary>Name of the ReplicaSet.</summary>
    public required string Name { get; init; }

    public required string Uid { get; init; }

    public required string App { get; init; }

    public required string Hash { get; init; }

    /// <summary>Different for every owner; all that is drawn for its pods comes from it.</summary>
    public required ulong Salt { get; init; }

    public required int Nodes { get; init; }

    /// <summary>Every so many pods one is not ready; 0 for none.</summary>
    public required int NotReadyEvery { get; init; }

    public required DateTimeOffset Created { get; init; }

    public IReadOnlyList<KeyValuePair<string, string>> Labels => field ??=
        [new("app", App), new("app.kubernetes.io/managed-by", "seed"), new("pod-template-hash", Hash), new("tier", "backend")];

    public IReadOnlyList<string> Owners => field ??= [Uid];
}

/// <summary>A pod that is nothing but its owner, a number and a revision; its JSON is made whenever somebody reads it.</summary>
internal sealed class SeededPod(SeededOwner owner, int ordinal, long revision, int touched = 0) : StoredObject
{
    // 27^5 suffixes; any odd multiplier that 3 does not divide visits them all, so that no two pods of an owner share a name.
    private const ulong Suffixes = 14_348_907;
    private const ulong Step = 7_919;

    public override string Namespace => owner.Namespace;

    public override string Name
    {
        get
        {
            Span<byte> suffix = stackalloc byte[5];
            WriteSuffix(suffix);
            return $"{owner.Name}-{Encoding.ASCII.GetString(suffix)}";
        }
    }

    public override long Revision => revision;

    public override IReadOnlyList<KeyValuePair<string, string>> Labels => owner.Labels;

    public override IReadOnlyList<string> Owners => owner.Owners;

    public override string Uid => IdSource.UidOf(owner.Salt, (ulong)ordinal);

    public override bool IsScenery => true;

    public override int MaxLength => owner.Template.Length;

    private bool IsReady => owner.NotReadyEvery == 0 || (Draw(0) % (ulong)owner.NotReadyEvery) != 0;

    /// <summary>The same pod after one more change.</summary>
    public SeededPod Touch(long newRevision) => new(owner, ordinal, newRevision, touched + 1);

    public override string Field(ReadOnlySpan<string> path) => path switch
    {
        ["spec", "nodeName"] => NodeName,
        ["status", "phase"] => IsReady ? "Running" : "Pending",
        _ => Rendered(path),
    };

    public override void WriteTo(IBufferWriter<byte> target, ReadOnlySpan<byte> head, long shownRevision)
    {
        PodTemplate template = owner.Template;
        Span<byte> buffer = target.GetSpan(head.Length + template.Length);
        int at = 0;
        if (!head.IsEmpty)
        {
            head.CopyTo(buffer);
            at = head.Length;
        }

        ReadOnlySpan<byte> first = template.Texts[0].AsSpan(head.IsEmpty ? 0 : 1);
        first.CopyTo(buffer[at..]);
        at += first.Length;
        for (int i = 0; i < template.Slots.Length; i++)
        {
            at += Write(template.Slots[i], buffer[at..], shownRevision);
            byte[] text = template.Texts[i + 1];
            text.CopyTo(buffer[at..]);
            at += text.Length;
        }

        target.Advance(at);
    }

    private string NodeName => $"node-{Draw(1) % (ulong)owner.Nodes:0000}";

    private ulong Draw(ulong what) => IdSource.Mix(owner.Salt ^ ((ulong)ordinal << 8) ^ what);

    private string Rendered(ReadOnlySpan<string> path)
    {
        var buffer = new ArrayBufferWriter<byte>(MaxLength);
        WriteTo(buffer, default, revision);
        return JsonStoredObject.FieldOf(buffer.WrittenSpan, path);
    }

    private int Write(PodSlot slot, Span<byte> target, long shownRevision)
    {
        switch (slot)
        {
            case PodSlot.Name:
                int length = Encoding.ASCII.GetBytes(owner.Name, target);
                target[length] = (byte)'-';
                WriteSuffix(target.Slice(length + 1, 5));
                return length + 6;
            case PodSlot.Namespace:
                return Encoding.ASCII.GetBytes(owner.Namespace, target);
            case PodSlot.Uid:
                return Encoding.ASCII.GetBytes(Uid, target);
            case PodSlot.Revision:
                Utf8Formatter.TryFormat(shownRevision, target, out int digits);
                return digits;
            case PodSlot.Created:
                return WriteTime(target, 0);
            case PodSlot.Started:
                return WriteTime(target, 3 + (int)(Draw(2) % 20));
            case PodSlot.Node:
                return Encoding.ASCII.GetBytes(NodeName, target);
            case PodSlot.HostAddress:
                ulong node = Draw(1) % (ulong)owner.Nodes;
                return WriteAddress(target, 172, 18, (byte)(node >> 8), (byte)node);
            case PodSlot.PodAddress:
                ulong address = Draw(3);
                return WriteAddress(target, 10, (byte)(128 + address % 64), (byte)(address >> 8), (byte)(1 + (address >> 16) % 254));
            case PodSlot.OwnerName:
                return Encoding.ASCII.GetBytes(owner.Name, target);
            case PodSlot.OwnerUid:
                return Encoding.ASCII.GetBytes(owner.Uid, target);
            case PodSlot.App:
                return Encoding.ASCII.GetBytes(owner.App, target);
            case PodSlot.Hash:
                return Encoding.ASCII.GetBytes(owner.Hash, target);
            case PodSlot.Volume:
                IdSource.WriteSuffix(Draw(4), target[..5]);
                return 5;
            case PodSlot.FirstContainer:
                return WriteHex(target, 16);
            case PodSlot.SecondContainer:
                return WriteHex(target, 32);
            case PodSlot.Phase:
                return Put(target, IsReady ? "Running"u8 : "Pending"u8);
            case PodSlot.Ready:
                return Put(target, IsReady ? "true"u8 : "false"u8);
            case PodSlot.ReadyText:
                return Put(target, IsReady ? "True"u8 : "False"u8);
            default:
                Utf8Formatter.TryFormat(touched, target, out int written);
                return written;
        }
    }

    private void WriteSuffix(Span<byte> target)
    {
        ulong number = ((ulong)ordinal * Step + owner.Salt % Suffixes) % Suffixes;
        foreach (ref byte b in target)
        {
            b = (byte)IdSource.Alphabet[(int)(number % (ulong)IdSource.Alphabet.Length)];
            number /= (ulong)IdSource.Alphabet.Length;
        }
    }

    private int WriteTime(Span<byte> target, int secondsLater)
    {
        DateTimeOffset moment = owner.Created.AddSeconds((int)(Draw(5) % 3600) + secondsLater);
        moment.UtcDateTime.TryFormat(target, out int written, "yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
        return written;
    }

    private int WriteHex(Span<byte> target, ulong salt)
    {
        for (int i = 0; i < 4; i++)
        {
            Utf8Formatter.TryFormat(Draw(salt + (ulong)i), target[(i * 16)..], out _, new StandardFormat('x', 16));
        }

        return 64;
    }

    private static int WriteAddress(Span<byte> target, byte a, byte b, byte c, byte d)
    {
        int at = 0;
        foreach (byte part in (ReadOnlySpan<byte>)[a, b, c, d])
        {
            if (at > 0)
            {
                target[at++] = (byte)'.';
            }

            Utf8Formatter.TryFormat(part, target[at..], out int written);
            at += written;
        }

        return at;
    }

    private static int Put(Span<byte> target, ReadOnlySpan<byte> text)
    {
        text.CopyTo(target);
        return text.Length;
    }
}
