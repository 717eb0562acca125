using System.Text;
using FsCheck;
using FsCheck.Fluent;
using MultiCluster.Grains.Mirror;

namespace MultiCluster.Grains.Tests.Mirror;

public sealed class RowPackerTests
{
    [Fact]
    public void Pack_AnyBytesAgainstAnyBase_UnpackToTheSame() => Prop.ForAll<int>(seed =>
    {
        var random = new Random(seed);
        byte[] basis = Bytes(random, random.Next(3000));
        byte[] preface = Bytes(random, random.Next(60));
        byte[] text = Derived(random, basis, preface);
        byte[]? packed = Pack(basis, preface, text);
        if (packed is not null)
        {
            byte[] back = new byte[text.Length];
            RowUnpacker.Unpack(packed, basis, preface, back);
            Assert.Equal(text, back);
            Assert.True(packed.Length < text.Length);
        }
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(2000));

    [Fact]
    public void Unpack_CorruptBytes_AreRefusedOrGiveAnything_ButStayInBounds() => Prop.ForAll<int>(seed =>
    {
        var random = new Random(seed);
        byte[] basis = Bytes(random, 500);
        byte[] packed = Pack(basis, [1, 2, 3, 4, 5], Derived(random, basis, [1, 2, 3, 4, 5])) ?? Bytes(random, 50);
        for (int i = random.Next(4); i >= 0 && packed.Length > 0; i--)
        {
            packed[random.Next(packed.Length)] = (byte)random.Next(256);
        }

        byte[] guarded = new byte[1024];
        guarded.AsSpan().Fill(0xAB);
        try
        {
            RowUnpacker.Unpack(packed, basis, [1, 2, 3, 4, 5], guarded.AsSpan(100, random.Next(800)));
        }
        catch (InvalidDataException)
        {
            // the only way in which it may fail
        }

        Assert.True(guarded.AsSpan(0, 100).IndexOfAnyExcept((byte)0xAB) < 0);
        Assert.True(guarded.AsSpan(900).IndexOfAnyExcept((byte)0xAB) < 0);
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));

    [Fact]
    public void Pack_Sibling_IsATenthOfTheText()
    {
        byte[] basis = SampleObjects.Pod("demo", "web-1", 1, 1000);
        byte[] text = SampleObjects.Pod("demo", "web-2", 2, 1001);
        byte[] packed = Pack(basis, Encoding.UTF8.GetBytes(SampleObjects.Uid(2)), text)!;
        Assert.InRange(packed.Length, 1, text.Length / 10);
    }

    private static byte[]? Pack(byte[] basis, byte[] preface, byte[] text)
    {
        var packer = new RowPacker();
        packer.Begin(basis.Length == 0 ? null : Raw(basis), preface);
        text.CopyTo(packer.Stage(text.Length));
        ReadOnlySpan<byte> packed = packer.Pack();
        return packed.IsEmpty ? null : packed.ToArray();
    }

    private static MirrorRow Raw(byte[] text) =>
        new(new RowDraft(0, null!, null!, "", default, 0, 0, 0, text.Length, MirrorRow.Traits.ForeignUid), text, null, isRaw: true);

    private static byte[] Bytes(Random random, int length)
    {
        // Few different bytes make many copies, which is where the faults are.
        byte[] bytes = new byte[length];
        int kinds = random.Next(1, 8);
        for (int i = 0; i < length; i++)
        {
            bytes[i] = (byte)random.Next(kinds);
        }

        return bytes;
    }

    private static byte[] Derived(Random random, byte[] basis, byte[] preface)
    {
        List<byte> text = [];
        for (int parts = random.Next(1, 12); parts > 0; parts--)
        {
            byte[] source = random.Next(4) switch { 0 => preface, 1 => [.. text], 2 => Bytes(random, random.Next(40)), _ => basis };
            int from = random.Next(source.Length + 1);
            text.AddRange(source.AsSpan(from, random.Next(source.Length - from + 1)));
        }

        return [.. text];
    }
}
